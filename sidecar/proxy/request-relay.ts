// The request on its way to the endpoint: head and body into the attempt's connection, what must be kept for another
// attempt into the log, copies to mirrors. Holds the client back while there is nobody to send to.
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Attempt } from "./attempt.ts";
import { BodyLog } from "./body-log.ts";
import type { Downstream } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";
import { Mirror } from "./mirror.ts";
import type { RetryState } from "./retry-state.ts";

export class RequestRelay {
  readonly #client: Downstream;
  readonly #attempt: Attempt;
  readonly #retry: RetryState;
  readonly #record: ExchangeRecord;
  readonly #log = new BodyLog();
  #mirrors: Mirror[] | undefined = undefined;
  /** The head for the next hop; the same for every attempt. */
  #headText = "";
  /** An answer has begun: no other attempt will be made, so nothing more is kept. */
  #isSettled = false;

  constructor(client: Downstream, attempt: Attempt, retry: RetryState, record: ExchangeRecord) {
    this.#record = record;
    this.#client = client;
    this.#attempt = attempt;
    this.#retry = retry;
  }

  /** All that was sent so far can be sent again. */
  get isWhole(): boolean {
    return this.#log.isWhole;
  }

  setHead(text: string): void {
    this.#headText = text;
  }

  /** Copies to other services begin; the head must be set. */
  startMirrors({ ruleFilters, isFallback }: Destination, path: DataPath, snapshot: Snapshot): void {
    const filters = ruleFilters.mirrors;
    if (filters.length === 0 || isFallback) return;
    const { head, isRequestComplete } = this.#client;
    for (const filter of filters) {
      const mirror = Mirror.start(filter, path, snapshot, head, this.#headText, isRequestComplete);
      if (mirror === undefined) continue;
      this.#record.note("mirror", filter.service);
      this.#mirrors ??= [];
      this.#mirrors.push(mirror);
    }
  }

  /** The attempt's connection stands: what there is of the request goes out. */
  sendAll(): void {
    const outlet = this.#attempt.outlet;
    outlet.addText(this.#headText);
    if (this.#log.bytes > 0) {
      this.#log.sendTo(outlet);
      if (!this.#retry.canRepeat || this.#isTooLarge) this.#log.forget();
    }
    this.#client.resumeReading();
  }

  addBody(bytes: Buffer, start: number, end: number): void {
    this.#record.requestBytes += end - start;
    const isSent = this.#attempt.isOpen;
    if (isSent) this.#attempt.outlet.addBytes(bytes, start, end);
    if (this.#keeps(isSent)) this.#log.addBytes(bytes, start, end);
    this.#bound(isSent);
    if (this.#mirrors !== undefined) for (const mirror of this.#mirrors) mirror.addBody(bytes, start, end);
  }

  /** @param tail the last piece of the body's wire form, mostly empty */
  end(tail: string): void {
    if (tail !== "") {
      this.#record.requestBytes += tail.length;
      const isSent = this.#attempt.isOpen;
      if (isSent) this.#attempt.outlet.addText(tail);
      if (this.#keeps(isSent)) this.#log.addText(tail);
      this.#bound(isSent);
    }
    if (this.#mirrors !== undefined) for (const mirror of this.#mirrors) mirror.end(tail);
  }

  /** Writes what was gathered in this turn. */
  flush(): void {
    const outlet = this.#attempt.outlet;
    outlet.flush();
    if (outlet.isFull) this.#client.pauseReading();
  }

  /** Nothing is needed again. */
  settle(): void {
    this.#isSettled = true;
    this.#log.clear();
  }

  clear(): void {
    this.#headText = "";
    this.#isSettled = false;
    this.#log.clear();
    if (this.#mirrors === undefined) return;
    for (const mirror of this.#mirrors) mirror.cancel();
    this.#mirrors = undefined;
  }

  get #isTooLarge(): boolean {
    return this.#log.bytes > (this.#retry.plan?.maxBodyBytes ?? 0);
  }

  #keeps(isSent: boolean): boolean {
    return !this.#isSettled && (!isSent || (this.#retry.canRepeat && this.#log.isWhole));
  }

  /** Nothing more is read before a connection is there; what is too much is not kept for retries. */
  #bound(isSent: boolean): void {
    if (!isSent) {
      if (!this.#client.isRequestComplete) this.#client.pauseReading();
    } else if (!this.#retry.canRepeat) this.#log.isWhole = false;
    else if (this.#isTooLarge) this.#log.forget();
  }
}
