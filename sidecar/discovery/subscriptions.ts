// The services that this sidecar uses: subscribed on first use, the first request held while the answer comes.
// Answers the data path's questions (ServiceResolver); what goes over the stream is the client's business.
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Resolution, ServiceResolver } from "../resolver.ts";
import {
  RESOLVE_TIMEOUT_MS,
  SERVICE_NAME_CHARACTERS_MAX,
  SUBSCRIPTIONS_MAX,
  UNCONFIRMED_MAX,
  WAITERS_MAX,
} from "./limits.ts";

type Callback = (resolution: Resolution) => void;

/** A subscription to a name that is not known to exist. A known one is just a name in a set. */
type Unconfirmed =
  | { readonly state: "asked"; readonly waiters: Callback[]; readonly timer: Timer }
  /** Nobody answered in time, and nobody waits; the subscription stays, so an answer may still come. */
  | { readonly state: "unanswered" }
  /** The control plane said that it does not exist; it will say so when that changes. */
  | { readonly state: "unknown" };

export interface SubscriptionsOptions {
  readonly clock: Clock;
  readonly holdsService: (service: string) => boolean;
  /** True while somebody is there to answer. */
  readonly isConnected: () => boolean;
  /** Tells the control plane; does nothing while there is no stream, whose Hello will say it all. */
  readonly send: (add: readonly string[], remove: readonly string[]) => void;
  readonly unconfirmedMax?: number;
  readonly subscriptionsMax?: number;
}

/** See ServiceResolver for what callers are promised. */
export class Subscriptions implements ServiceResolver {
  readonly #options: SubscriptionsOptions;
  readonly #unconfirmedMax: number;
  readonly #subscriptionsMax: number;
  readonly #known = new Set<string>();
  /** In order of use, the least recently asked for first. */
  readonly #unconfirmed = new Map<string, Unconfirmed>();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    this.#unconfirmedMax = options.unconfirmedMax ?? UNCONFIRMED_MAX;
    this.#subscriptionsMax = options.subscriptionsMax ?? SUBSCRIPTIONS_MAX;
  }

  /** Every subscribed name, known and not. */
  names(): string[] {
    return [...this.#known, ...this.#unconfirmed.keys()];
  }

  /** Names known to exist: what is worth remembering in a cache file. */
  knownNames(): string[] {
    return [...this.#known];
  }

  /** Takes over subscriptions of an earlier run, before the first stream. */
  restore(names: readonly string[]): void {
    for (const name of names.slice(0, this.#subscriptionsMax)) {
      if (this.#options.holdsService(name)) this.#known.add(name);
    }
  }

  resolve(service: string, callback: Callback): void {
    const resolution = this.#answerNow(service, callback);
    if (resolution !== "waiting") answer(callback, resolution);
  }

  /** The answer, or "waiting" when the callback was put with those who wait for it. */
  #answerNow(service: string, callback: Callback): Resolution | "waiting" {
    if (this.#options.holdsService(service)) return "known";
    if (service.length > SERVICE_NAME_CHARACTERS_MAX) return "unknown";
    const entry = this.#unconfirmed.get(service);
    if (entry === undefined) return this.#subscribe(service, callback);
    this.#unconfirmed.delete(service); // to the end of the order of use
    if (entry.state === "unanswered" && this.#options.isConnected()) return this.#wait(service, callback);
    this.#unconfirmed.set(service, entry);
    if (entry.state === "unknown") return "unknown";
    if (entry.state === "unanswered" || entry.waiters.length >= WAITERS_MAX) return "unavailable";
    entry.waiters.push(callback);
    return "waiting";
  }

  /** What an applied delta says about names: call it after the snapshot was swapped. */
  settle(resourceNames: Iterable<string>, removedNames: Iterable<string>): void {
    for (const name of removedNames) if (name.startsWith("service:")) this.#setUnknown(name.slice("service:".length));
    for (const name of resourceNames) if (name.startsWith("service:")) this.#setKnown(name.slice("service:".length));
  }

  #setKnown(service: string): void {
    const entry = this.#unconfirmed.get(service);
    if (entry === undefined) return;
    this.#unconfirmed.delete(service);
    this.#known.add(service);
    release(entry, "known");
  }

  #setUnknown(service: string): void {
    const entry = this.#unconfirmed.get(service);
    if (entry === undefined && !this.#known.delete(service)) return;
    this.#unconfirmed.set(service, { state: "unknown" });
    if (entry !== undefined) release(entry, "unknown");
    this.#giveUpPastLimit();
  }

  #subscribe(service: string, callback: Callback): Resolution | "waiting" {
    // A name that was known and has been taken out of the configuration is still subscribed to.
    if (this.#known.delete(service)) return this.#wait(service, callback);
    const isFull = this.#known.size + this.#unconfirmed.size >= this.#subscriptionsMax;
    if (isFull && !this.#giveUpOldest()) return "unavailable";
    this.#wait(service, callback);
    this.#options.send([service], []);
    this.#giveUpPastLimit();
    return "waiting";
  }

  #wait(service: string, callback: Callback): "waiting" {
    const timer = this.#options.clock.after(RESOLVE_TIMEOUT_MS, () => {
      const entry = this.#unconfirmed.get(service);
      if (entry === undefined) return;
      // Replaced in place: a timeout is not a use.
      this.#unconfirmed.set(service, { state: "unanswered" });
      release(entry, "unavailable");
    });
    this.#unconfirmed.set(service, { state: "asked", waiters: [callback], timer });
    return "waiting";
  }

  #giveUpPastLimit(): void {
    while (this.#unconfirmed.size > this.#unconfirmedMax) this.#giveUpOldest();
  }

  #giveUpOldest(): boolean {
    const oldest = this.#unconfirmed.entries().next().value;
    if (oldest === undefined) return false;
    const [service, entry] = oldest;
    this.#unconfirmed.delete(service);
    release(entry, "unavailable");
    this.#options.send([], [service]);
    return true;
  }
}

function release(entry: Unconfirmed, resolution: Resolution): void {
  if (entry.state !== "asked") return;
  entry.timer.cancel();
  for (const waiter of entry.waiters) answer(waiter, resolution);
}

/** Never synchronously: the caller is in the middle of reading a request. */
function answer(callback: Callback, resolution: Resolution): void {
  queueMicrotask(() => callback(resolution));
}
