// A load generator: GET requests at a constant rate, bounded in flight, counted by the version of `orders` that
// answered and by status. The rate does not fall when answers are slow (no coordinated omission): a request that
// finds the bound reached is counted as skipped, not sent later.
import { Agent, type IncomingMessage, request } from "node:http";
import { systemClock } from "../../runtime/clock.ts";

export interface LoadOptions {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly requestsPerSecond: number;
  /** Requests open at the same time at most. */
  readonly inFlightMax?: number;
}

/** Counts since the start; `recent` covers the last five seconds and what has begun of the next. */
export interface LoadFigures {
  readonly sent: number;
  readonly answered: number;
  /** Not answered at all: refused, reset, timed out. */
  readonly broken: number;
  readonly skipped: number;
  readonly byVersion: ReadonlyMap<string, number>;
  readonly byStatus: ReadonlyMap<string, number>;
  readonly recent: {
    readonly seconds: number;
    readonly byVersion: ReadonlyMap<string, number>;
    readonly byStatus: ReadonlyMap<string, number>;
    readonly latenciesMs: readonly number[];
  };
}

const IN_FLIGHT_MAX = 128;
const TIMEOUT_MS = 10_000;
const TICK_MS = 10;
const WINDOW_SECONDS = 5;
/** A body longer than this is not one of the shop's. */
const BODY_CHARACTERS_MAX = 65_536;

class Second {
  readonly byVersion = new Map<string, number>();
  readonly byStatus = new Map<string, number>();
  readonly latenciesMs: number[] = [];
}

/** Sends from the moment it is made until `stop`. */
export class Load {
  readonly #options: LoadOptions;
  readonly #agent: Agent;
  readonly #byVersion = new Map<string, number>();
  readonly #byStatus = new Map<string, number>();
  readonly #seconds: Second[] = [new Second()];
  readonly #startedMs = systemClock.now();
  readonly #timer: NodeJS.Timeout;
  #whenIdle: (() => void) | undefined;
  #due = 0;
  #inFlight = 0;
  #sent = 0;
  #broken = 0;
  #skipped = 0;
  #stopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.inFlightMax ?? IN_FLIGHT_MAX });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Sends no more and waits for what is in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    if (this.#inFlight > 0) {
      await new Promise<void>((settle) => {
        this.#whenIdle = settle;
      });
    }
    this.#agent.destroy();
  }

  figures(): LoadFigures {
    this.#rotate();
    return {
      sent: this.#sent,
      answered: [...this.#byStatus.values()].reduce((sum, count) => sum + count, 0),
      broken: this.#broken,
      skipped: this.#skipped,
      byVersion: this.#byVersion,
      byStatus: this.#byStatus,
      recent: {
        seconds: Math.max(1, this.#seconds.length - 1),
        byVersion: sumOf(this.#seconds.map((second) => second.byVersion)),
        byStatus: sumOf(this.#seconds.map((second) => second.byStatus)),
        latenciesMs: this.#seconds.flatMap((second) => second.latenciesMs),
      },
    };
  }

  #tick(): void {
    this.#rotate();
    const dueNow = Math.floor(((systemClock.now() - this.#startedMs) / 1000) * this.#options.requestsPerSecond);
    for (; this.#due < dueNow; this.#due++) {
      if (this.#inFlight >= (this.#options.inFlightMax ?? IN_FLIGHT_MAX)) this.#skipped++;
      else this.#send();
    }
  }

  /** Opens a new one-second bucket for each second that passed, keeping the last five. */
  #rotate(): void {
    if (this.#stopped) return;
    const second = Math.floor((systemClock.now() - this.#startedMs) / 1000);
    while (this.#opened < second) {
      this.#opened++;
      this.#seconds.push(new Second());
      if (this.#seconds.length > WINDOW_SECONDS + 1) this.#seconds.shift();
    }
  }
  #opened = 0;

  #send(): void {
    const { url, headers } = this.#options;
    const sentMs = systemClock.now();
    this.#sent++;
    this.#inFlight++;
    let settled = false;
    const settle = (status: string, version: string | undefined): void => {
      if (settled) return;
      settled = true;
      this.#count(status, version, systemClock.now() - sentMs);
    };
    const outgoing = request(url, { agent: this.#agent, headers: { ...headers }, timeout: TIMEOUT_MS }, (response) =>
      readBody(response, (text) => {
        if (text === undefined) settle("broken", undefined);
        else settle(String(response.statusCode), ordersVersion(text));
      }),
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error("timeout")));
    outgoing.on("error", () => settle("broken", undefined));
    outgoing.end();
  }

  #count(status: string, version: string | undefined, latencyMs: number): void {
    const second = this.#seconds.at(-1);
    if (status === "broken") this.#broken++;
    else add(this.#byStatus, status, 1);
    if (version !== undefined) add(this.#byVersion, version, 1);
    if (second !== undefined) {
      add(second.byStatus, status, 1);
      if (version !== undefined) add(second.byVersion, version, 1);
      second.latenciesMs.push(latencyMs);
    }
    this.#inFlight--;
    if (this.#inFlight === 0) this.#whenIdle?.();
  }
}

/** Which version of `orders` took part in an answer of the shop; undefined when none did. */
export function ordersVersion(body: string): string | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return findService(value, "orders");
  } catch {
    return undefined;
  }
}

function findService(value: unknown, service: string): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const record = value as Record<string, unknown>;
  if (record["service"] === service && typeof record["version"] === "string") return record["version"];
  for (const nested of Object.values(record)) {
    const found = findService(nested, service);
    if (found !== undefined) return found;
  }
  return undefined;
}

function readBody(response: IncomingMessage, done: (text: string | undefined) => void): void {
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    if (text.length < BODY_CHARACTERS_MAX) text += chunk;
  });
  response.on("end", () => done(text));
  response.on("error", () => done(undefined));
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function sumOf(maps: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sum = new Map<string, number>();
  for (const map of maps) for (const [key, count] of map) add(sum, key, count);
  return sum;
}
