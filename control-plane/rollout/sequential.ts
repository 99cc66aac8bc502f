// Sequential tests that may be looked at after every request and stopped at any time: e-processes for shares (of failed
// requests, of slow ones). Under its null hypothesis an e-process exceeds 1/a at ANY time with a probability of at most
// a (Ville's inequality), so looking often costs nothing. docs/rollouts.md has the derivation. Pure.
//
// Sources: A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe anytime-valid inference"
// (2023); R. Turner, A. Ly, P. Grünwald, "Generic E-variables for exact sequential k-sample tests" (2024).

/** Which null is tested: that the share is not too high ("worse" speaks against it), or that it is ("better" does). */
export type Direction = "worse" | "better";

/** How far the alternatives lie from the bound, in odds. Several, because nobody knows how bad a bad version is. */
const ODDS_ABOVE = [1.25, 1.7, 2.5, 4, 8, 20, 80, 500];
const ODDS_BELOW = [0.8, 0.6, 0.4, 0.2, 0.08, 0.02];
/** Shares of the stable version that alternatives are made for. */
const STABLE_SHARES = [0.0003, 0.002, 0.01, 0.05, 0.2, 0.5];
const SHARE_MIN = 1e-9;
const SHARE_MAX = 1 - 1e-6;
const BISECTIONS = 26;

/** `hits` of `trials` failed, or were slow. */
export interface Tally {
  readonly trials: number;
  readonly hits: number;
}

/**
 * Logarithm of the evidence that the share behind a tally is above `bound` ("worse") or below it ("better"): a mixture
 * of likelihood ratios against the bound itself, which is the share of the null that is hardest to tell apart.
 */
export function absoluteEvidence({ trials, hits }: Tally, bound: number, direction: Direction): number {
  if (trials === 0) return 0;
  const null0 = clamp(bound);
  const odds = null0 / (1 - null0);
  const ratios = (direction === "worse" ? ODDS_ABOVE : ODDS_BELOW).map((factor) => {
    const share = clamp((odds * factor) / (1 + odds * factor));
    return logLikelihood(hits, trials, share) - logLikelihood(hits, trials, null0);
  });
  return logMean(ratios);
}

/** One alternative: the canary's share and the stable version's. */
interface Alternative {
  readonly canary: number;
  readonly stable: number;
}

/** Evidence gathered so far, as logarithms per alternative, and what waits for both versions to have a request. */
export interface RelativeState {
  readonly worse: readonly number[];
  readonly better: readonly number[];
  readonly pending: { readonly canary: Tally; readonly stable: Tally };
}

const NONE: Tally = { trials: 0, hits: 0 };

/** Compares the canary's share with the stable version's, block by block over the same time. */
export class RelativeTest {
  readonly #margin: number;
  readonly #alternatives: Readonly<Record<Direction, readonly Alternative[]>>;

  /** @param margin by how much the canary's share may be above the stable version's, 0..1 */
  constructor(margin: number) {
    this.#margin = margin;
    const pairs = (factors: readonly number[]) =>
      STABLE_SHARES.flatMap((stable) =>
        factors.map((factor) => ({ stable, canary: oddsTimes(stable + margin, factor) })),
      );
    this.#alternatives = {
      worse: pairs(ODDS_ABOVE.slice(1)).filter(({ canary }) => canary < 0.9999),
      better: pairs(ODDS_BELOW),
    };
  }

  start(): RelativeState {
    return {
      worse: this.#alternatives.worse.map(() => 0),
      better: this.#alternatives.better.map(() => 0),
      pending: { canary: NONE, stable: NONE },
    };
  }

  /** Adds what both versions did in one stretch of time. Its length must not depend on the outcomes. */
  add(state: RelativeState, canary: Tally, stable: Tally): RelativeState {
    const pending = { canary: plus(state.pending.canary, canary), stable: plus(state.pending.stable, stable) };
    if (pending.canary.trials === 0 || pending.stable.trials === 0) return { ...state, pending };
    const update = (logs: readonly number[], direction: Direction) =>
      this.#alternatives[direction].map(
        (alternative, index) => (logs[index] ?? 0) + this.#ratio(alternative, pending.canary, pending.stable),
      );
    return {
      worse: update(state.worse, "worse"),
      better: update(state.better, "better"),
      pending: { canary: NONE, stable: NONE },
    };
  }

  evidence(state: RelativeState, direction: Direction): number {
    return logMean(state[direction]);
  }

  /**
   * Likelihood ratio of the alternative against the pair (r + margin, r) of the null that makes its expectation at
   * most 1 under all of the null: the root of n_c (q_c - r_c) / (r_c (1 - r_c)) + n_s (q_s - r_s) / (r_s (1 - r_s)).
   */
  #ratio(alternative: Alternative, canary: Tally, stable: Tally): number {
    const null0 = nearestNull(alternative, canary.trials, stable.trials, this.#margin);
    return (
      logLikelihood(canary.hits, canary.trials, alternative.canary) -
      logLikelihood(canary.hits, canary.trials, clamp(null0 + this.#margin)) +
      logLikelihood(stable.hits, stable.trials, alternative.stable) -
      logLikelihood(stable.hits, stable.trials, null0)
    );
  }
}

function nearestNull({ canary, stable }: Alternative, nCanary: number, nStable: number, margin: number): number {
  const slope = (r: number): number => {
    const rc = clamp(r + margin);
    return (nCanary * (canary - rc)) / (rc * (1 - rc)) + (nStable * (stable - r)) / (r * (1 - r));
  };
  let low = clamp(Math.min(stable, canary - margin));
  let high = clamp(Math.max(stable, canary - margin));
  for (let round = 0; round < BISECTIONS; round++) {
    const middle = (low + high) / 2;
    if (slope(middle) > 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function plus(a: Tally, b: Tally): Tally {
  return { trials: a.trials + b.trials, hits: a.hits + b.hits };
}

function oddsTimes(share: number, factor: number): number {
  const odds = (clamp(share) / (1 - clamp(share))) * factor;
  return clamp(odds / (1 + odds));
}

function clamp(share: number): number {
  return Math.min(SHARE_MAX, Math.max(SHARE_MIN, share));
}

function logLikelihood(hits: number, trials: number, share: number): number {
  return hits * Math.log(share) + (trials - hits) * Math.log1p(-share);
}

/** Logarithm of the mean of e^x. */
function logMean(logs: readonly number[]): number {
  const highest = Math.max(...logs);
  if (!Number.isFinite(highest)) return highest;
  return highest + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - highest), 0) / logs.length);
}
