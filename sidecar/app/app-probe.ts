// Is the app listening? A TCP connection that is opened and closed, often until the app is up and seldom after.
// Not a health check of what the app answers.
import { connect } from "node:net";
import type { HostPort } from "../../runtime/address.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import { isLocalFailure } from "../../runtime/local-failure.ts";
import { isSelfConnected } from "../../runtime/self-connection.ts";

export const PROBE_UNTIL_UP_MS = 250;
export const PROBE_WHILE_UP_MS = 5_000;
const CONNECT_TIMEOUT_MS = 1_000;

/** "refused" is certain; "silent" (no answer in time, or no socket to ask with) may be a host that is merely busy. */
export type ConnectOutcome = "accepted" | "refused" | "silent";

/** Opens and closes one connection. Never throws. */
export function tryConnect(address: HostPort, clock: Clock): Promise<ConnectOutcome> {
  return new Promise((settle) => {
    const socket = connect({ host: address.host, port: address.port });
    const deadline = clock.after(CONNECT_TIMEOUT_MS, () => finish("silent"));
    const finish = (outcome: ConnectOutcome): void => {
      deadline.cancel();
      if (outcome === "accepted") socket.end();
      else socket.resetAndDestroy();
      settle(outcome);
    };
    socket.on("error", (error) => finish(isLocalFailure(error) ? "silent" : "refused"));
    socket.once("connect", () => finish(isSelfConnected(socket) ? "refused" : "accepted"));
    // What the app says unasked is of no interest, but has to be read for the socket to close.
    socket.resume();
  });
}

export interface AppProbeOptions {
  readonly address: HostPort;
  readonly clock: Clock;
  /** Called when the app begins to listen and when it is certain that it stopped. */
  readonly onChange: (isListening: boolean) => void;
}

/** Watches the app's port from `start` to `stop`. */
export class AppProbe {
  readonly #options: AppProbeOptions;
  #isListening = false;
  #timer: Timer | undefined;
  #state: "stopped" | "connecting" | "waiting" = "stopped";
  #whileUpMs = PROBE_WHILE_UP_MS;

  constructor(options: AppProbeOptions) {
    this.#options = options;
  }

  get isListening(): boolean {
    return this.#isListening;
  }

  start(): void {
    if (this.#state === "stopped") void this.#probe();
  }

  stop(): void {
    this.#state = "stopped";
    this.#timer?.cancel();
  }

  /** From now on as often as while the app is not up: for noticing soon that it has gone. */
  hurry(): void {
    this.#whileUpMs = PROBE_UNTIL_UP_MS;
    if (this.#state === "waiting") this.#schedule();
  }

  async #probe(): Promise<void> {
    this.#state = "connecting";
    const outcome = await tryConnect(this.#options.address, this.#options.clock);
    if (this.#isStopped()) return;
    // An app whose accept queue is full is silent: withdrawing it would only move its load to the others.
    const isListening = outcome === "silent" ? this.#isListening : outcome === "accepted";
    const hasChanged = isListening !== this.#isListening;
    this.#isListening = isListening;
    this.#schedule();
    if (hasChanged) this.#options.onChange(isListening);
  }

  #isStopped(): boolean {
    return this.#state === "stopped";
  }

  #schedule(): void {
    this.#state = "waiting";
    this.#timer?.cancel();
    const delayMs = this.#isListening ? this.#whileUpMs : PROBE_UNTIL_UP_MS;
    this.#timer = this.#options.clock.after(delayMs, () => void this.#probe());
  }
}
