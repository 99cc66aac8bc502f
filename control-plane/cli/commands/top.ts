// weft top: rate, errors and durations of the traffic now, per service, route, version or caller. Once, or with --watch
// until Ctrl-C: redrawn on a terminal, lines in a pipe, a JSON document per second with -o json.
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { TelemetryServiceClient, type WatchTrafficResponse } from "../../../proto/gen/weft/v1/telemetry.ts";
import { type TopView, topView } from "../../view/top.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit, writeLines } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode, usageFailure } from "../failure.ts";
import { didYouMean } from "../kinds.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { painter } from "../print/text.ts";
import { topLines, topRecords } from "../print/top.ts";
import { Redraw } from "../redraw.ts";
import { parseServiceName } from "../service-name.ts";
import { warnOfUnknownService } from "../unknown-service.ts";

const DIMENSIONS = ["service", "route", "version", "source"];
/** Routes are counted from the moment on that somebody looks: the first answers know none yet. */
const ROUTE_ANSWERS = 4;
/** What waits for a slow reader of stdout before a second is left out. */
const BACKLOG_BYTES_MAX = 1024 * 1024;

export function top(invocation: Invocation): Promise<ExitCode> {
  const { args, flags, namespace, output, shell } = invocation;
  const by = flags.text("by") ?? "service";
  if (!DIMENSIONS.includes(by))
    throw usageFailure(`--by: "${by}" is not valid; expected ${DIMENSIONS.join(", ")}${didYouMean(by, DIMENSIONS)}`);
  const isWatching = flags.has("watch");
  if (isWatching && output === "yaml") throw usageFailure("-o yaml: with --watch expected table, wide or json");
  const named = parseServiceName(args[0] ?? "", namespace ?? NAMESPACE_DEFAULT);
  const service = args[0] === undefined ? "" : `${named.namespace}/${named.name}`;
  return withConnection(invocation, async (connection) => {
    const telemetry = connection.adopt(connection.create(TelemetryServiceClient));
    await warnOfUnknownService(invocation, connection, service);
    const stream = telemetry.watchTraffic({ by, namespace: namespace ?? "", service });
    const show = isWatching ? new Screen(invocation) : undefined;
    let wanted = by === "route" ? ROUTE_ANSWERS : 1;
    const { last, error } = await follow(stream, invocation, (response) => {
      if (show === undefined) return --wanted > 0;
      show.draw(topView(by, response, shell.clock.wall()));
      return true;
    });
    if (error !== undefined && (last === undefined || isWatching)) {
      if (last === undefined) throw connection.failure(telemetry, error, invocation.timeoutMs);
      throw new CliFailure(
        "unreachable",
        `lost the control plane at ${connection.server}: ${error.details || error.message}`,
        { next: ["begin again when it is back; see: weft check"] },
      );
    }
    if (last === undefined && !isWatching) throw lateAnswer(invocation);
    if (!isWatching && last !== undefined) {
      const view = topView(by, last, shell.clock.wall());
      await emit(invocation, view, (paint) => topLines(view, paint));
    }
    return EXIT.done;
  });
}

interface Followed {
  readonly last: WatchTrafficResponse | undefined;
  readonly error: ServiceError | undefined;
}

/** Until Ctrl-C, the reader of stdout goes, the stream ends, or `take` has enough; without a first answer not for ever. */
async function follow(
  stream: ClientReadableStream<WatchTrafficResponse>,
  { shell, timeoutMs }: Invocation,
  take: (response: WatchTrafficResponse) => boolean,
): Promise<Followed> {
  const { promise, resolve } = Promise.withResolvers<ServiceError | undefined>();
  let last: WatchTrafficResponse | undefined;
  const stop = () => resolve(undefined);
  const timer = shell.clock.after(timeoutMs, () => {
    if (last === undefined) stop();
  });
  const ends = [shell.onInterrupt(stop), shell.stdout.onGone(stop)];
  stream.on("data", (response: WatchTrafficResponse) => {
    last = response;
    if (!take(response)) stop();
  });
  stream.on("error", resolve);
  stream.on("end", stop);
  const error = await promise;
  timer.cancel();
  for (const end of ends) end();
  stream.cancel();
  return { last, error };
}

function lateAnswer({ server, timeoutMs }: Invocation): CliFailure {
  return new CliFailure("timed-out", `the control plane at ${server} did not answer within ${timeoutMs} ms`, {
    next: ["try again, or allow more time with --timeout"],
  });
}

/** What --watch shows each second. */
class Screen {
  readonly #invocation: Invocation;
  readonly #picture: Redraw;

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
    this.#picture = new Redraw(invocation.shell.stdout);
  }

  draw(view: TopView): void {
    const { output, color, shell } = this.#invocation;
    const { stdout } = shell;
    if (stdout.backlogBytes > BACKLOG_BYTES_MAX) return;
    if (output === "json") stdout.write(`${JSON.stringify(view)}\n`);
    else if (!stdout.isTTY) writeLines(stdout, topRecords(view));
    else {
      this.#picture.draw(topLines(view, painter(color)));
    }
  }
}
