// Randomness, passed in: uniform numbers for splits, jitter and choices. Not for secrets or ids that must not
// be guessed; those come from node:crypto where they are made.

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
}

/**
 * Seeded from the system's. Its own generator (Chris Doty-Humphrey's sfc32) and not Math.random, which is a call into V8 for
 * each of the three numbers that a request takes.
 */
export const systemRandom: Random = wideRandom(wordOf(Math.random()), wordOf(Math.random()), wordOf(Math.random()));

function wordOf(random01: number): number {
  return (random01 * 4_294_967_296) | 0;
}

/** Passes PractRand; its cycles are 2^32 numbers long at least. */
function wideRandom(first: number, second: number, third: number): Random {
  let a = first;
  let b = second;
  let c = third;
  let count = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + count) | 0;
    count = (count + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  for (let warmUp = 0; warmUp < 12; warmUp++) next();
  return { next };
}

/** The same sequence for the same seed (mulberry32): tests and simulations print the seed and repeat. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next: () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    },
  };
}
