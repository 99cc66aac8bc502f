// Tells webhooks what happened to a release: each of them in order, again after a pause when it does not answer 2xx,
// and after a restart what was not told before it. The store keeps what is still to be told.
import { type Clock, sleep } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { RolloutNoticeRecord, RolloutStore } from "../store/contract.ts";
import type { HttpCall } from "./http-call.ts";
import { reasonOf } from "./outside.ts";

const TIMEOUT_MS = 10_000;
const ATTEMPTS = 4;
const RETRY_MS = 1_000;

export interface NoticesOptions {
  readonly call: HttpCall;
  readonly store: RolloutStore;
  readonly clock: Clock;
  readonly log: Log;
}

export class Notices {
  readonly #options: NoticesOptions;
  /** The last notice of each webhook. */
  readonly #queues = new Map<string, Promise<void>>();
  #isStopped = false;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** Sends what is stored already, in the background. */
  send(notices: readonly RolloutNoticeRecord[]): void {
    for (const notice of notices) {
      const queue = (this.#queues.get(notice.url) ?? Promise.resolve()).then(() => this.#deliver(notice));
      this.#queues.set(notice.url, queue);
      void queue.then(() => this.#queues.get(notice.url) === queue && this.#queues.delete(notice.url));
    }
  }

  /** What is not told by now is told after the next start. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Never rejects. Given up after some attempts: a webhook that is gone must not keep its queue for ever. */
  async #deliver(notice: RolloutNoticeRecord): Promise<void> {
    const { store, clock, log } = this.#options;
    for (let attempt = 1; attempt <= ATTEMPTS && !this.#isStopped; attempt++) {
      if (attempt > 1) await sleep(clock, RETRY_MS * 2 ** (attempt - 2));
      const problem = await this.#post(notice);
      if (problem === undefined) break;
      log.warn(
        { url: notice.url, sequence: notice.event.sequence, attempt, reason: problem },
        "a webhook was not told",
      );
    }
    if (this.#isStopped) return;
    await store.dropNotice(notice).catch((error: unknown) => log.error({ err: error }, "a notice stays in the store"));
  }

  /** @returns why it was not taken */
  async #post({ url, event: { key, ...event } }: RolloutNoticeRecord): Promise<string | undefined> {
    const body = JSON.stringify({ rollout: key, ...event });
    const headers = { "content-type": "application/json" };
    try {
      const { status } = await this.#options.call({ url, method: "POST", headers, body, timeoutMs: TIMEOUT_MS });
      return status >= 200 && status < 300 ? undefined : `answered ${status}`;
    } catch (error) {
      return reasonOf(error);
    }
  }
}
