// What one sidecar holds, what is on its way to it, and what it refused: decides the next delta. At most one is
// unanswered; everything that changes meanwhile is merged, because a delta is the difference to the target of the
// moment it is made. Pure: no stream, no clock.

/** Resource name -> version; ABSENT says that the sidecar asked for it and it does not exist. */
export type Versions = ReadonlyMap<string, string>;

/** The "version" of a resource that does not exist. */
export const ABSENT = "";

export interface QueuedDelta {
  readonly nonce: number;
  /** What the sidecar is told that it acts on: not past a refusal. */
  readonly revision: number;
  /** Revision of the target that it was made from. */
  readonly settles: number;
  /** Names of resources to send, with the versions they have now. */
  readonly put: Versions;
  readonly removed: readonly string[];
}

export interface Refusal {
  readonly nonce: number;
  readonly resource: string;
  readonly fieldPath: string;
  readonly reason: string;
}

export class SidecarQueue {
  #held: Map<string, string>;
  #inFlight: QueuedDelta | undefined;
  /** Versions that were refused, and updates that were refused with them (ABSENT: removals). Empty when all is well. */
  #withheld = new Map<string, string>();
  #refusal: Refusal | undefined;
  /** Changes of revisions after `from` up to `to` were refused. */
  #refused = { from: 0, to: 0 };
  /** Every change up to this revision is live at the sidecar. */
  #revision = 0;
  /** Every change up to this revision is live or refused. */
  #settled = 0;
  #nonce = 0;
  /** The first delta is sent even if it is empty: the sidecar learns from it that it is up to date. */
  #greeted = false;
  /** A target that nothing differs from; recognised by identity, because targets are replaced and never changed. */
  #satisfied: Versions | undefined;

  constructor(held: Versions) {
    this.#held = new Map(held);
  }

  get isWaiting(): boolean {
    return this.#inFlight !== undefined;
  }

  /** Revision that the sidecar acts on. */
  get revision(): number {
    return this.#revision;
  }

  /** The last refusal, for as long as it matters. */
  get refusal(): Refusal | undefined {
    return this.#withheld.size === 0 ? undefined : this.#refusal;
  }

  get refusedRevision(): number {
    return this.#refused.to;
  }

  /** What became of the changes of `revision`. */
  outcomeOf(revision: number): "live" | "refused" | "pending" {
    if (this.#withheld.size > 0 && revision > this.#refused.from && revision <= this.#refused.to) return "refused";
    return this.#settled >= revision ? "live" : "pending";
  }

  /**
   * The delta to send now; undefined while one is unanswered or nothing differs. Finding no difference makes
   * `revision` live: by definition, a revision that changes nothing for a sidecar is acted on.
   */
  next(target: Versions, revision: number): QueuedDelta | undefined {
    if (this.#inFlight !== undefined) return undefined;
    if (this.#satisfied === target) {
      this.#settle(revision);
      return undefined;
    }
    this.#forgetRefusalUnlessUnchanged(target);
    const put = new Map<string, string>();
    const removed: string[] = [];
    for (const [name, version] of target) this.#compare(name, version, put, removed);
    for (const [name, version] of this.#held) {
      if (target.has(name)) continue;
      if (version === ABSENT) this.#held.delete(name);
      else this.#compare(name, ABSENT, put, removed);
    }
    if (put.size === 0 && removed.length === 0 && this.#greeted) {
      this.#satisfied = target;
      this.#settle(revision);
      return undefined;
    }
    this.#greeted = true;
    this.#nonce++;
    const acted = this.#withheld.size > 0 ? this.#revision : revision;
    this.#inFlight = { nonce: this.#nonce, revision: acted, settles: revision, put, removed };
    return this.#inFlight;
  }

  /** Returns the delta that was acknowledged; undefined for a nonce that nobody waits for. */
  acknowledge(nonce: number, target: Versions): QueuedDelta | undefined {
    const delta = this.#inFlight;
    if (delta === undefined || delta.nonce !== nonce) return undefined;
    this.#inFlight = undefined;
    for (const [name, version] of delta.put) this.#held.set(name, version);
    for (const name of delta.removed)
      if (target.get(name) === ABSENT) this.#held.set(name, ABSENT);
      else this.#held.delete(name);
    this.#settle(delta.settles);
    return delta;
  }

  /** The sidecar keeps what it had. Returns the refused delta; undefined for a nonce that nobody waits for. */
  refuse(refusal: Refusal): QueuedDelta | undefined {
    const delta = this.#inFlight;
    if (delta === undefined || delta.nonce !== refusal.nonce) return undefined;
    this.#inFlight = undefined;
    this.#refused = { from: this.#withheld.size > 0 ? this.#refused.from : this.#revision, to: delta.settles };
    this.#refusal = refusal;
    const culprit = delta.put.get(refusal.resource);
    if (culprit !== undefined) this.#withheld.set(refusal.resource, culprit);
    // Rules change together or not at all. Endpoints, and services that are new to the sidecar, go on without them.
    const isAloneGuilty = culprit !== undefined && isEndpoints(refusal.resource);
    if (!isAloneGuilty) this.#withholdUpdates(delta, culprit === undefined);
    return delta;
  }

  #settle(revision: number): void {
    this.#settled = revision;
    if (this.#withheld.size === 0) this.#revision = revision;
  }

  #withholdUpdates(delta: QueuedDelta, everything: boolean): void {
    for (const [name, version] of delta.put)
      if (everything || (!isEndpoints(name) && this.#held.has(name))) this.#withheld.set(name, version);
    for (const name of delta.removed) if (this.#held.has(name)) this.#withheld.set(name, ABSENT);
  }

  #compare(name: string, version: string, put: Map<string, string>, removed: string[]): void {
    if (this.#held.get(name) === version || this.#withheld.get(name) === version) return;
    if (version === ABSENT) removed.push(name);
    else put.set(name, version);
  }

  /** The same bytes would be refused again; anything else is worth a try, as a whole. */
  #forgetRefusalUnlessUnchanged(target: Versions): void {
    for (const [name, version] of this.#withheld) {
      if ((target.get(name) ?? ABSENT) === version) continue;
      this.#withheld.clear();
      this.#refusal = undefined;
      this.#refused = { from: 0, to: 0 };
      return;
    }
  }
}

function isEndpoints(name: string): boolean {
  return name.startsWith("endpoints:");
}
