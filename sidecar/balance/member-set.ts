// The endpoints of one service port and which of them a choice is among now: the healthy ones, those of the own zone
// first, all of them in panic. Worked out when health changes or shares grow, never per request.
import type { Random } from "../../runtime/random.ts";
import { type Candidate, type CandidateSet, candidateSet } from "./contract.ts";
import { mix } from "./hash.ts";
import { adaptiveFactors, slowStartFactor } from "./share.ts";

/** An endpoint with what its share depends on. */
export interface Member extends Candidate {
  readonly zone: string;
  /** Since when it takes traffic; slow start counts from here. */
  readonly healthySinceMs: number;
  /** 0..1 as it reports; negative: it does not. */
  readonly utilization: number;
  /** Why it gets no traffic while it is not healthy, in words. */
  readonly condition: string;
}

/** A member that no choice is among now. */
export interface Skipped {
  readonly address: string;
  readonly why: string;
}

export interface SelectionSettings {
  readonly slowStartMs: number;
  readonly adaptive: boolean;
  /** Below this percentage of healthy endpoints all are used; 0: never. */
  readonly panicThreshold: number;
  /** The own zone; "" when it is unknown or no zone is preferred. */
  readonly zone: string;
  /** Below this percentage of healthy endpoints in the own zone a part of the requests goes to others. */
  readonly zoneMinHealthyPercent: number;
}

/** Counts changes of health, so that sets notice them by comparing a number. */
export interface HealthVersion {
  version: number;
}

/** How often growing or adapting shares are worked out anew. */
const SHARES_INTERVAL_MS = 500;
/** As many are named in the record of a request. */
const SKIPPED_NAMED_MAX = 8;

const EMPTY: CandidateSet<never> = candidateSet([]);

export class MemberSet<M extends Member> {
  readonly members: readonly M[];
  readonly #settings: SelectionSettings;
  readonly #health: HealthVersion;
  /** All with a weight: their identity stays, so that hash tables are built once. */
  readonly #everyone: CandidateSet<M>;
  readonly #everyoneNear: CandidateSet<M>;
  readonly #everyoneFar: CandidateSet<M>;
  readonly #panicking: CandidateSet<M>;
  /** Those that choices pass over, the first few of them; an array of its own after every change. */
  skipped: readonly Skipped[] = [];
  #near: CandidateSet<M> = EMPTY;
  #far: CandidateSet<M> = EMPTY;
  /** Part of the requests that stays in the own zone. */
  #nearShare = 0;
  #isPanicking = false;
  #seenVersion = -1;
  #dueMs = 0;

  constructor(members: readonly M[], settings: SelectionSettings, health: HealthVersion) {
    this.members = members;
    this.#settings = settings;
    this.#health = health;
    const weighted = members.filter(({ weight }) => weight > 0);
    for (const member of weighted) member.share = member.weight;
    this.#everyone = candidateSet(weighted);
    this.#panicking = candidateSet(weighted, true);
    this.#everyoneNear = candidateSet(weighted.filter((member) => this.#isNear(member)));
    this.#everyoneFar = candidateSet(weighted.filter((member) => !this.#isNear(member)));
  }

  /** Too few are healthy: all are used. */
  get isPanicking(): boolean {
    return this.#isPanicking;
  }

  /**
   * Those that the next choice is among.
   * @param hash of the request; where balancing goes by hashes, the split between zones does too
   */
  select(nowMs: number, usesHash: boolean, hash: number, random: Random): CandidateSet<M> {
    if (this.#seenVersion !== this.#health.version || nowMs >= this.#dueMs) this.#refresh(nowMs);
    if (this.#isPanicking) return this.#panicking;
    if (this.#settings.zone === "" || this.#nearShare === 0) return usesHash ? this.#everyone : this.#far;
    const point = this.#nearShare >= 1 ? 0 : usesHash ? mix(hash) / 2 ** 32 : random.next();
    if (point < this.#nearShare) return usesHash ? this.#everyoneNear : this.#near;
    return usesHash ? this.#everyoneFar : this.#far;
  }

  /** All with a weight, wherever they are: where a retry goes when its zone has nobody else. */
  get everywhere(): CandidateSet<M> {
    return this.#everyone;
  }

  #refresh(nowMs: number): void {
    this.#seenVersion = this.#health.version;
    const { members } = this.#everyone;
    const isMoving = this.#updateShares(members, nowMs);
    this.#dueMs = isMoving ? nowMs + SHARES_INTERVAL_MS : Number.POSITIVE_INFINITY;
    const healthy = members.filter(({ isHealthy }) => isHealthy);
    this.#isPanicking = healthy.length * 100 < this.#settings.panicThreshold * members.length;
    this.skipped = this.#isPanicking ? [] : skippedOf(members);
    const near = healthy.filter((member) => this.#isNear(member));
    const far = healthy.filter((member) => !this.#isNear(member));
    this.#nearShare = this.#shareOfNear(near.length, far.length);
    this.#near = candidateSet(near);
    this.#far = candidateSet(this.#nearShare === 0 ? healthy : far);
  }

  /** @returns whether shares will change again by time alone. */
  #updateShares(members: readonly M[], nowMs: number): boolean {
    const { slowStartMs, adaptive } = this.#settings;
    let isMoving = adaptive;
    const factors = adaptive
      ? adaptiveFactors(
          members.map(({ latency, utilization }) => ({
            samples: latency.samples,
            latencyMs: latency.estimateMs(nowMs),
            utilization,
          })),
        )
      : undefined;
    for (const [index, member] of members.entries()) {
      const ageMs = nowMs - member.healthySinceMs;
      if (ageMs < slowStartMs) isMoving = true;
      member.share = member.weight * slowStartFactor(ageMs, slowStartMs) * (factors?.[index] ?? 1);
    }
    return isMoving;
  }

  /** All while enough of the own zone is healthy, then in proportion (Envoy's locality spill-over). */
  #shareOfNear(nearCount: number, farCount: number): number {
    const nearTotal = this.#everyoneNear.members.length;
    if (nearCount === 0) return 0;
    if (farCount === 0) return 1;
    const healthyPercent = (nearCount * 100) / nearTotal;
    const { zoneMinHealthyPercent } = this.#settings;
    return healthyPercent >= zoneMinHealthyPercent ? 1 : healthyPercent / zoneMinHealthyPercent;
  }

  #isNear(member: M): boolean {
    return this.#settings.zone !== "" && member.zone === this.#settings.zone;
  }
}

function skippedOf(members: readonly Member[]): Skipped[] {
  const sick = members.filter(({ isHealthy }) => !isHealthy).slice(0, SKIPPED_NAMED_MAX);
  return sick.map(({ key, condition }) => ({ address: key, why: condition }));
}
