// `--wait`: follows one revision until every affected sidecar acts on it or refused it, the time is up, or the
// person presses Ctrl-C. The revision itself is committed whatever happens here.
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import type { WaitRevisionResponse } from "../../proto/gen/weft/v1/fleet.ts";
import { refusalText } from "../view/fleet.ts";
import { countProgress, type ProgressView, progressView, type SidecarProgressView } from "../view/progress.ts";
import type { Invocation } from "./command.ts";
import type { Connection } from "./connection.ts";
import { isForPeople } from "./emit.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { counted, type Paint, printable, type Style } from "./print/text.ts";
import { waitMs } from "./wait-flag.ts";

/** Sidecars named one by one in text for people; the rest is counted. */
const SIDECARS_SHOWN_MAX = 50;

export type WaitOutcome = "live" | "refused" | "timed-out" | "interrupted" | "lost";

export interface WaitView {
  readonly outcome: WaitOutcome;
  readonly revision: number;
  readonly sidecars: readonly SidecarProgressView[];
  /** Why contact was lost; only with that outcome. */
  readonly reason?: string;
}

const EXIT_OF: Readonly<Record<WaitOutcome, ExitCode>> = {
  live: EXIT.done,
  refused: EXIT.failed,
  "timed-out": EXIT.timedOut,
  interrupted: EXIT.interrupted,
  lost: EXIT.unreachable,
};

export function waitExitCode(view: WaitView | undefined): ExitCode {
  return view === undefined ? EXIT.done : EXIT_OF[view.outcome];
}

/** Follows a revision, saying on stderr how far it is (people only). Never throws for what the fleet does. */
export async function waitForRevision(
  invocation: Invocation,
  connection: Connection,
  revision: number,
): Promise<WaitView> {
  const timeoutMs = waitMs(invocation.flags);
  const fleet = await connection.fleet();
  const progress = new ProgressLine(invocation);
  const stream = fleet.waitRevision({ revision }, { deadline: connection.deadline(timeoutMs) });
  const following = follow(stream, revision, {
    progress: (latest) => progress.show(latest),
    lostBecause: (error) => connection.failure(fleet, error, timeoutMs).message,
  });
  const stopListening = invocation.shell.onInterrupt(following.interrupt);
  try {
    return await following.result;
  } finally {
    stopListening();
    progress.clear();
  }
}

interface Following {
  readonly result: Promise<WaitView>;
  readonly interrupt: () => void;
}

/** Turns the stream's events into one result; the first that settles it wins. */
function follow(
  stream: ClientReadableStream<WaitRevisionResponse>,
  revision: number,
  on: { progress: (latest: ProgressView) => void; lostBecause: (error: ServiceError) => string },
): Following {
  let latest: ProgressView = { revision, done: false, sidecars: [] };
  const { promise, resolve } = Promise.withResolvers<WaitView>();
  const finish = (outcome: WaitOutcome, reason?: string): void => {
    resolve({ outcome, revision, sidecars: latest.sidecars, ...(reason === undefined ? {} : { reason }) });
    stream.cancel();
  };
  stream.on("data", (response: WaitRevisionResponse) => {
    latest = progressView(response);
    on.progress(latest);
    if (latest.done) finish(countProgress(latest.sidecars).refused > 0 ? "refused" : "live");
  });
  stream.on("end", () => finish("lost", "the control plane ended the call"));
  stream.on("error", (error: ServiceError) => {
    if (error.code === status.DEADLINE_EXCEEDED) finish("timed-out");
    else finish("lost", on.lostBecause(error));
  });
  return { result: promise, interrupt: () => finish("interrupted") };
}

/** Remarks on the progress: one line rewritten on a terminal, else a line whenever the counts change. */
class ProgressLine {
  readonly #invocation: Invocation;
  #last = "";

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
  }

  show(progress: ProgressView): void {
    if (!isForPeople(this.#invocation) || progress.done) return;
    const { stderr } = this.#invocation.shell;
    const text = `waiting for revision ${progress.revision}: ${countsText(progress.sidecars)}`;
    if (text === this.#last) return;
    this.#last = text;
    stderr.write(stderr.isTTY ? `\r\u001b[K${text}` : `${text}\n`);
  }

  clear(): void {
    if (this.#last !== "" && this.#invocation.shell.stderr.isTTY) this.#invocation.shell.stderr.write("\r\u001b[K");
  }
}

function countsText(sidecars: readonly SidecarProgressView[]): string {
  const { live, pending, refused, disconnected } = countProgress(sidecars);
  const away = disconnected > 0 ? `, ${disconnected} disconnected` : "";
  return `${live} live, ${pending} pending, ${refused} refused${away}`;
}

const STATE_STYLE: Readonly<Record<SidecarProgressView["state"], Style>> = {
  live: "green",
  pending: "yellow",
  refused: "red",
  disconnected: "yellow",
};

/** What became of the revision, for stdout: those that are not live first, because they are why one looks. */
export function waitLines(view: WaitView, paint: Paint): string[] {
  const order = ["refused", "pending", "disconnected", "live"];
  const sorted = [...view.sidecars].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const lines = sorted.slice(0, SIDECARS_SHOWN_MAX).map((sidecar) => sidecarLine(sidecar, paint));
  const hidden = sorted.length - SIDECARS_SHOWN_MAX;
  if (hidden > 0) lines.push(`... and ${counted(hidden, "more sidecar")}`);
  return [...lines, summary(view)];
}

function sidecarLine(sidecar: SidecarProgressView, paint: Paint): string {
  const { state, id, namespace, service, pushMs, refusal } = sidecar;
  const detail =
    refusal === undefined ? (pushMs === undefined ? "" : `  ${Math.round(pushMs)} ms`) : refusalText(refusal);
  const name = printable(`${id} (${namespace}/${service})`);
  return `${paint(STATE_STYLE[state], state.padEnd(7))}  ${name}${refusal === undefined ? detail : `: ${printable(detail)}`}`;
}

function summary(view: WaitView): string {
  if (view.outcome !== "live") return countsText(view.sidecars);
  if (view.sidecars.length === 0) return `revision ${view.revision} is live: it affects no connected sidecar`;
  return `revision ${view.revision} is live on ${counted(view.sidecars.length, "sidecar")}`;
}

/** What to do about a wait that did not end well, for stderr. */
export function waitRemarks(view: WaitView): string[] {
  const look = "see how it goes with: weft sidecars";
  switch (view.outcome) {
    case "live":
      return [];
    case "refused":
      return [
        `error: revision ${view.revision} was refused; the sidecars above go on with what they had`,
        "  correct the rules and apply again, or go back with: weft rollback --to REVISION (see weft history)",
      ];
    case "timed-out":
      return [
        `error: timed out waiting for revision ${view.revision}; ${waitingFor(view)}`,
        `  the rules are applied and reach these sidecars when they can; ${look}`,
      ];
    case "interrupted":
      return [`interrupted: revision ${view.revision} is applied, only the waiting ended; ${look}`];
    case "lost":
      return [
        `error: lost contact while waiting: ${view.reason ?? "unknown reason"}`,
        `  revision ${view.revision} is applied; ${look}`,
      ];
  }
}

function waitingFor(view: WaitView): string {
  const waiting = view.sidecars.filter((sidecar) => sidecar.state === "pending" || sidecar.state === "disconnected");
  if (waiting.length === 0) return "no answer from the control plane on who is pending";
  const names = waiting.slice(0, 10).map((sidecar) => printable(sidecar.id));
  const more = waiting.length > names.length ? ` and ${waiting.length - names.length} more` : "";
  return `not live yet: ${names.join(", ")}${more}`;
}
