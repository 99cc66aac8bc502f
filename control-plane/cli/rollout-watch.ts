// `weft rollout status --watch` and `start --wait`: follows a release to its end. A tree that is drawn anew on a
// terminal, a line per change elsewhere, and with -o json the release as it was at the end.
import { type ServiceError, status } from "@grpc/grpc-js";
import type { RolloutKey, WatchRolloutResponse } from "../../proto/gen/weft/v1/rollouts.ts";
import { sleep } from "../../runtime/clock.ts";
import { hasEnded, type RolloutView, rolloutView } from "../view/rollout.ts";
import { emit, isForPeople } from "./emit.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { rolloutLine, rolloutLines } from "./print/rollout.ts";
import { painter } from "./print/text.ts";
import { Redraw } from "./redraw.ts";
import type { RolloutCall } from "./rollout-call.ts";

/** A control plane that restarts is waited for this long. */
const LOST_CONTACT_MAX_MS = 60_000;
const RETRY_MS = 500;

type End =
  | { readonly outcome: "ended" | "timed-out" | "interrupted" }
  | { readonly outcome: "lost"; readonly error: ServiceError };

/** @returns 0 promoted, 1 rolled back, 4 the time is over, 3 contact lost, 130 interrupted */
export async function watchRollout(call: RolloutCall, key: RolloutKey): Promise<ExitCode> {
  const { invocation, connection, client } = call;
  const { clock } = invocation.shell;
  const limitMs = invocation.flags.durationMs("wait", Number.POSITIVE_INFINITY);
  const untilMs = clock.now() + limitMs;
  const screen = new Screen(call);
  let heardMs = clock.now();
  while (true) {
    const end = await follow(call, key, untilMs, (view) => {
      heardMs = clock.now();
      screen.show(view);
    });
    if (end.outcome === "lost") {
      const mayComeBack = isLoss(end.error) && clock.now() - heardMs < LOST_CONTACT_MAX_MS;
      if (!mayComeBack) throw connection.failure(client, end.error, LOST_CONTACT_MAX_MS);
      if (clock.now() >= untilMs) return screen.finish("timed-out");
      screen.showLoss(connection.server);
      await sleep(clock, RETRY_MS);
    } else return screen.finish(end.outcome);
  }
}

/** CANCELLED: a control plane that is being stopped resets its streams. */
function isLoss({ code }: ServiceError): boolean {
  return code === status.UNAVAILABLE || code === status.CANCELLED;
}

function follow(
  { invocation, client }: RolloutCall,
  key: RolloutKey,
  untilMs: number,
  show: (view: RolloutView) => void,
): Promise<End> {
  const { clock } = invocation.shell;
  const { promise, resolve } = Promise.withResolvers<End>();
  const stream = client.watchRollout({ key });
  const timer = Number.isFinite(untilMs)
    ? clock.after(Math.max(0, untilMs - clock.now()), () => resolve({ outcome: "timed-out" }))
    : undefined;
  const stopListening = invocation.shell.onInterrupt(() => resolve({ outcome: "interrupted" }));
  stream.on("data", ({ rollout }: WatchRolloutResponse) => {
    if (rollout === undefined) return;
    const view = rolloutView(rollout);
    show(view);
    if (hasEnded(view)) resolve({ outcome: "ended" });
  });
  const lost = (error: ServiceError): void => resolve({ outcome: "lost", error });
  stream.on("error", lost);
  stream.on("end", () => lost(Object.assign(new Error("ended"), { code: status.UNAVAILABLE }) as ServiceError));
  return promise.finally(() => {
    timer?.cancel();
    stopListening();
    stream.cancel();
  });
}

/** What was shown last, and where. */
class Screen {
  readonly #call: RolloutCall;
  #last: RolloutView | undefined;
  #lastLine = "";
  readonly #picture: Redraw;
  #isLost = false;

  constructor(call: RolloutCall) {
    this.#call = call;
    this.#picture = new Redraw(call.invocation.shell.stdout);
  }

  show(view: RolloutView): void {
    this.#last = view;
    this.#isLost = false;
    const { invocation } = this.#call;
    if (!isForPeople(invocation)) return;
    const { stdout } = invocation.shell;
    if (stdout.isTTY) {
      this.#picture.draw(rolloutLines(view, painter(invocation.color)));
      return;
    }
    const line = rolloutLine(view);
    if (line !== this.#lastLine) stdout.write(`${line}\n`);
    this.#lastLine = line;
  }

  /** Says once that nothing new is known, until something is. */
  showLoss(server: string): void {
    if (this.#isLost) return;
    this.#isLost = true;
    // The first word after it is drawn below, and said even if it is the same.
    this.#picture.leave();
    this.#lastLine = "";
    this.#call.invocation.shell.stderr.write(
      `the control plane at ${server} is away; waiting ${LOST_CONTACT_MAX_MS / 1000} s for it to come back\n`,
    );
  }

  async finish(outcome: "ended" | "timed-out" | "interrupted"): Promise<ExitCode> {
    const { invocation } = this.#call;
    const view = this.#last;
    if (view !== undefined) await this.#leave(view);
    if (outcome === "interrupted") return EXIT.interrupted;
    if (outcome === "timed-out") {
      invocation.shell.stderr.write(`error: ${stateText(view)} the time to wait for it is over\n`);
      return EXIT.timedOut;
    }
    return view?.phase === "promoted" ? EXIT.done : EXIT.failed;
  }

  /** The release as it is at the end: of a picture that the terminal was too small for, all of it. */
  async #leave(view: RolloutView): Promise<void> {
    const { invocation } = this.#call;
    if (!isForPeople(invocation)) await emit(invocation, view, () => []);
    else if (invocation.shell.stdout.isTTY) this.#picture.finish(rolloutLines(view, painter(invocation.color)));
  }
}

function stateText(view: RolloutView | undefined): string {
  if (view === undefined) return "nothing was heard of the release, and";
  return view.phase === "paused" ? "the release is paused, and" : "the release goes on, but";
}
