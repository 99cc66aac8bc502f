// Requests at a constant rate over kept-alive connections, every answer checked. For tests and benches that change
// something under traffic. The rate does not follow the answers.
import { Agent } from "node:http";
import { type Answer, ask } from "./ask.ts";

export interface SteadyLoadOptions {
  readonly address: string;
  readonly host: string;
  readonly requestsPerSecond: number;
  /** Default GET. A sidecar repeats a POST only if nothing of it was sent. */
  readonly method?: string;
  readonly path?: string;
  /** What is wrong with an answer; undefined when nothing is. Gets the time at which the request was sent. */
  readonly check: (answer: Answer, sentMs: number) => string | undefined;
}

export interface SteadyLoadResult {
  readonly sent: number;
  /** Not sent because too many were open: this machine did not keep up, which says nothing about the answers. */
  readonly skipped: number;
  /** Not answered, or not with what was expected, in words. */
  readonly failures: readonly string[];
  readonly latenciesMs: readonly number[];
  readonly seconds: number;
}

const TICK_MS = 5;
/** Past this many open requests, more would only pile up. */
const IN_FLIGHT_MAX = 512;

export class SteadyLoad {
  readonly #options: SteadyLoadOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #failures: string[] = [];
  readonly #latenciesMs: number[] = [];
  readonly #open = new Set<Promise<void>>();
  #due = 0;
  #skipped = 0;

  constructor(options: SteadyLoadOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Sends no more, waits for what is open, and says how it went. */
  async stop(): Promise<SteadyLoadResult> {
    clearInterval(this.#timer);
    const seconds = (performance.now() - this.#startedMs) / 1000;
    await Promise.all(this.#open);
    this.#agent.destroy();
    const sent = this.#due - this.#skipped;
    return { sent, skipped: this.#skipped, failures: this.#failures, latenciesMs: this.#latenciesMs, seconds };
  }

  #tick(): void {
    const due = Math.floor(((performance.now() - this.#startedMs) / 1000) * this.#options.requestsPerSecond);
    while (this.#due < due) {
      this.#due++;
      if (this.#open.size >= IN_FLIGHT_MAX) this.#skipped++;
      else this.#send();
    }
  }

  #send(): void {
    const { address, host, path = "/", method = "GET", check } = this.#options;
    const sentMs = performance.now();
    const done = ask({ address, path, method, headers: { host }, agent: this.#agent }).then(
      (answer) => {
        this.#latenciesMs.push(performance.now() - sentMs);
        const wrong = check(answer, sentMs);
        if (wrong !== undefined) this.#failures.push(wrong);
      },
      (error: Error) => {
        this.#failures.push(`no answer: ${error.message}`);
      },
    );
    this.#open.add(done);
    void done.then(() => this.#open.delete(done));
  }
}
