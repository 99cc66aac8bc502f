// Did-you-mean: the legal word nearest to a mistyped one. Not spelling correction: nothing is ever assumed.

/** Words longer than this are not compared; nobody mistypes them by a letter or two. */
const COMPARED_CHARACTERS_MAX = 64;

/** A shorter part of a word is too common to mean it. */
const PART_CHARACTERS_MIN = 4;

/** The nearest of `words` by typing errors, or "" when none is near enough to be meant. Case does not count. */
export function suggest(typed: string, words: Iterable<string>): string {
  if (typed.length > COMPARED_CHARACTERS_MAX) return "";
  const lower = typed.toLowerCase();
  let best = "";
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 1;
  for (const word of words) {
    if (word === "") continue;
    const distance = distanceTo(lower, word.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = word;
      bestDistance = distance;
    }
  }
  return best;
}

/** A word that has the typed one in it (`Prefix` for `PathPrefix`) is near, whatever its length. */
function distanceTo(typed: string, word: string, bound: number): number {
  const distance = editDistance(typed, word, bound);
  return distance === bound && typed.length >= PART_CHARACTERS_MIN && word.includes(typed) ? bound - 1 : distance;
}

/** Damerau's edits (insert, drop, change, swap neighbours) from one text to the other; at least `bound` means far. */
export function editDistance(from: string, to: string, bound: number): number {
  if (Math.abs(from.length - to.length) >= bound || to.length > COMPARED_CHARACTERS_MAX) return bound;
  let before: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let distance = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) distance = Math.min(distance, (before[column - 2] ?? 0) + 1);
      current.push(distance);
    }
    before = previous;
    previous = current;
  }
  return previous[to.length] ?? bound;
}
