// weft tap: live requests, one line each, until Ctrl-C, until the reader of the pipe goes, or as many as were asked for.
// What it did not show it says on stderr, so that stdout can be piped on.
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { type TapResponse, TelemetryServiceClient } from "../../../proto/gen/weft/v1/telemetry.ts";
import type { Timer } from "../../../runtime/clock.ts";
import { decisionView } from "../../view/decision.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { stderrPaint } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode, usageFailure } from "../failure.ts";
import { decisionLine } from "../print/decision.ts";
import { counted, painter } from "../print/text.ts";
import type { Shell } from "../shell.ts";
import { tapFilter } from "../tap-filter.ts";
import { warnOfUnknownRoute, warnOfUnknownService } from "../unknown-service.ts";

/** What waits for a slow reader of stdout before decisions are left out. */
const BACKLOG_BYTES_MAX = 1024 * 1024;
const PER_SECOND_MAX = 1_000;

export function tap(invocation: Invocation): Promise<ExitCode> {
  const { flags, output, server } = invocation;
  if (output === "yaml") throw usageFailure("-o yaml: tap writes lines; expected table, wide or json");
  const filter = tapFilter(invocation);
  const maxPerSecond = flags.count("maxRps", 1) ?? 0;
  if (maxPerSecond > PER_SECOND_MAX)
    throw usageFailure(`--max-rps: ${maxPerSecond} is too many; expected at most ${PER_SECOND_MAX}`);
  const limits = { count: flags.count("count", 1) ?? Number.POSITIVE_INFINITY, durationMs: flags.durationMs("for", 0) };
  return withConnection(invocation, async (connection) => {
    const telemetry = connection.adopt(connection.create(TelemetryServiceClient));
    const session = new TapSession(invocation, limits);
    await warnOfUnknownService(invocation, connection, filter.service);
    await warnOfUnknownRoute(invocation, connection, filter.route);
    const stream = telemetry.tap({ filter, maxPerSecond });
    const ended = await session.follow(stream);
    session.summarize();
    if (ended === undefined) return EXIT.done;
    if (session.hasBegun)
      throw new CliFailure("unreachable", `lost the control plane at ${server}: ${ended.details || ended.message}`, {
        next: ["begin again when it is back; see: weft check"],
      });
    throw connection.failure(telemetry, ended, invocation.timeoutMs);
  });
}

interface TapLimits {
  readonly count: number;
  /** 0: none. */
  readonly durationMs: number;
}

class TapSession {
  readonly #invocation: Invocation;
  readonly #shell: Shell;
  readonly #limits: TapLimits;
  #shown = 0;
  #left = 0;
  #leftInSecond = 0;
  #sidecars = -1;

  constructor(invocation: Invocation, limits: TapLimits) {
    this.#invocation = invocation;
    this.#shell = invocation.shell;
    this.#limits = limits;
  }

  /** The control plane has answered. */
  get hasBegun(): boolean {
    return this.#sidecars >= 0;
  }

  /** Resolves at the end: with undefined when it was wanted, else with what went wrong. */
  async follow(stream: ClientReadableStream<TapResponse>): Promise<ServiceError | undefined> {
    const { promise, resolve } = Promise.withResolvers<ServiceError | undefined>();
    const { stdout, clock } = this.#shell;
    const { durationMs } = this.#limits;
    const stop = () => resolve(undefined);
    const stopListening = [this.#shell.onInterrupt(stop), stdout.onGone(stop)];
    const timer: Timer | undefined = durationMs > 0 ? clock.after(durationMs, stop) : undefined;
    const begin = clock.after(this.#invocation.timeoutMs, () => {
      if (!this.hasBegun) resolve(new CallTimeout(this.#invocation.timeoutMs));
    });
    stream.on("data", (response: TapResponse) => {
      if (this.#take(response)) stop();
    });
    stream.on("end", stop);
    stream.on("error", resolve);
    try {
      return await promise;
    } finally {
      for (const end of stopListening) end();
      timer?.cancel();
      begin.cancel();
      stream.cancel();
    }
  }

  /** @returns whether it was enough */
  #take({ decisions, dropped, sidecars }: TapResponse): boolean {
    this.#noteSidecars(sidecars);
    const { stdout } = this.#shell;
    let lost = dropped;
    for (const decision of decisions) {
      if (this.#shown >= this.#limits.count) break;
      if (stdout.backlogBytes > BACKLOG_BYTES_MAX) lost++;
      else {
        stdout.write(`${this.#line(decisionView(decision))}\n`);
        this.#shown++;
      }
    }
    this.#left += lost;
    this.#leftInSecond += lost;
    // Sent once a second, also when there is nothing to tell.
    if (decisions.length === 0) this.#noteLeft();
    return this.#shown >= this.#limits.count;
  }

  #line(view: ReturnType<typeof decisionView>): string {
    const { output, color } = this.#invocation;
    return output === "json" ? JSON.stringify(view) : decisionLine(view, painter(color), output === "wide");
  }

  #noteSidecars(sidecars: number): void {
    if (sidecars === this.#sidecars || (this.hasBegun && sidecars === 0)) return;
    if (!this.hasBegun) this.#say(`tapping ${counted(sidecars, "sidecar")}; Ctrl-C ends it`);
    this.#sidecars = sidecars;
  }

  #noteLeft(): void {
    if (this.#leftInSecond === 0) return;
    this.#say(
      `${counted(this.#leftInSecond, "more request")} matched and ${this.#leftInSecond === 1 ? "is" : "are"} not shown (see --max-rps)`,
    );
    this.#leftInSecond = 0;
  }

  summarize(): void {
    if (this.hasBegun) this.#say(`${counted(this.#shown, "request")} shown, ${this.#left} not shown`);
  }

  #say(text: string): void {
    const { stderr } = this.#shell;
    stderr.write(`${stderrPaint(this.#shell)("dim", `tap: ${text}`)}\n`);
  }
}

/** No first answer came. */
class CallTimeout extends Error implements ServiceError {
  override readonly name = "CallTimeout";
  readonly code = 4;
  readonly details: string;
  readonly metadata = undefined as never;

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
    this.details = this.message;
  }
}
