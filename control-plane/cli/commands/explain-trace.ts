// weft explain --trace ID: what was decided about a request that has been, told by the sidecars that it went through.
// They are asked through the control plane, or one by one at their admin ports where there is none.
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import {
  type Decision,
  type FindDecisionsResponse,
  TelemetryServiceClient,
} from "../../../proto/gen/weft/v1/telemetry.ts";
import { parseHostPort } from "../../../runtime/address.ts";
import { type DecisionView, decisionView } from "../../view/decision.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit, isForPeople, writeLines } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode, usageFailure } from "../failure.ts";
import { decisionLines } from "../print/decision.ts";
import { counted, type Paint, printable } from "../print/text.ts";

/** Sidecars get at most as long, so that the answer comes before the call's own time is over. */
const WAIT_MS = 2_000;
const WAIT_SHARE = 0.8;
const SILENT_SHOWN_MAX = 20;

interface TraceView {
  readonly id: string;
  readonly decisions: readonly DecisionView[];
  /** Sidecars that were asked, and ids or addresses of those that did not answer. */
  readonly asked: number;
  readonly silent: readonly string[];
}

export async function explainTrace(invocation: Invocation, id: string): Promise<ExitCode> {
  if (invocation.args.length > 0)
    throw usageFailure("--trace explains a request that has been: METHOD and URL are not needed");
  if (id === "") throw usageFailure("--trace: expected a trace id or a request id (the answer's x-request-id)");
  const sidecars = invocation.flags.texts("sidecar");
  const wanted = traceIdOf(id);
  const found =
    sidecars.length === 0 ? await askControlPlane(invocation, wanted) : await askSidecars(invocation, sidecars, wanted);
  const view: TraceView = {
    id: wanted,
    decisions: found.decisions.map(decisionView),
    asked: found.asked,
    silent: found.silent,
  };
  if (view.decisions.length === 0) throw nothingFound(view);
  await emit(invocation, view, (paint) => traceLines(view, paint));
  if (isForPeople(invocation) && view.silent.length > 0) writeLines(invocation.shell.stderr, [silentText(view)]);
  return EXIT.done;
}

/** A whole traceparent is what people copy. */
function traceIdOf(text: string): string {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/i.exec(text)?.[1] ?? text;
}

function askControlPlane(invocation: Invocation, id: string): Promise<FindDecisionsResponse> {
  const waitMs = Math.round(Math.min(WAIT_MS, invocation.timeoutMs * WAIT_SHARE));
  return withConnection(invocation, async (connection) => {
    const telemetry = connection.adopt(connection.create(TelemetryServiceClient));
    return connection.call(telemetry, telemetry.findDecisions, { id, waitMs });
  });
}

async function askSidecars(
  invocation: Invocation,
  addresses: readonly string[],
  id: string,
): Promise<FindDecisionsResponse> {
  for (const address of addresses)
    if ((parseHostPort(address)?.port ?? 0) === 0)
      throw usageFailure(`--sidecar: "${address}" is no address; expected HOST:PORT of a sidecar's admin port`);
  const silent: string[] = [];
  const answers = await Promise.all(
    addresses.map(async (address) => {
      try {
        return await askSidecar(invocation, address, id);
      } catch (error) {
        silent.push(`${address} (${error instanceof Error ? error.message : String(error)})`);
        return [];
      }
    }),
  );
  if (silent.length === addresses.length)
    throw new CliFailure("unreachable", `no sidecar answered: ${silent.join(", ")}`);
  return { decisions: answers.flat().sort((a, b) => a.atMs - b.atMs), asked: addresses.length, silent };
}

/** Not by fetch, which refuses some ports. */
function askSidecar({ shell, timeoutMs }: Invocation, address: string, id: string): Promise<Decision[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Decision[]>();
  const asking = get(`http://${address}/decisions?id=${encodeURIComponent(id)}`, (response) => {
    decisionsIn(response).then(resolve, reject);
  });
  asking.on("error", (error: NodeJS.ErrnoException) => reject(new Error(error.code ?? error.message)));
  const timer = shell.clock.after(timeoutMs, () => asking.destroy(new Error(`no answer within ${timeoutMs} ms`)));
  return promise.finally(() => timer.cancel());
}

async function decisionsIn(response: IncomingMessage): Promise<Decision[]> {
  const body = await text(response);
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  return (JSON.parse(body) as { decisions: Decision[] }).decisions;
}

function nothingFound(view: TraceView): CliFailure {
  const { id, asked, silent } = view;
  return new CliFailure(
    "not-found",
    `none of ${counted(asked, "sidecar")} remembers a request with the id ${printable(id)}`,
    {
      next: [
        ...(silent.length === 0 ? [] : [silentText(view)]),
        "sidecars keep the last few thousand requests for ten minutes, under load only a share of those that went well",
        "a request is always kept when its traceparent is sampled, or with the header x-weft-debug: 1 from the app itself",
      ],
    },
  );
}

function silentText({ silent }: TraceView): string {
  const more = silent.length > SILENT_SHOWN_MAX ? ` and ${silent.length - SILENT_SHOWN_MAX} more` : "";
  const names = silent.slice(0, SILENT_SHOWN_MAX).map(printable).join(", ");
  return `${counted(silent.length, "sidecar")} did not answer: ${names}${more}`;
}

function traceLines(view: TraceView, paint: Paint): string[] {
  return view.decisions.flatMap((decision, index) => [...(index === 0 ? [] : [""]), ...decisionLines(decision, paint)]);
}
