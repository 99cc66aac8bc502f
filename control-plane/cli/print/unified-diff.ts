// Unified diffs of two texts, as `diff -u` prints them: the shortest edit script (E. Myers, "An O(ND) Difference
// Algorithm and Its Variations", 1986), grouped into hunks with three lines of context.
// Texts here are rule documents; past LINES_EXACT_MAX differing lines the middle is shown as replaced whole.

const CONTEXT_LINES = 3;
/** Lines of the differing middle, both sides together, up to which the shortest script is looked for. */
const LINES_EXACT_MAX = 2_000;

type Edit = { readonly op: " " | "-" | "+"; readonly line: string };

/** Lines of the diff without their line ends; none when the texts are equal. */
export function unifiedDiff(oldName: string, newName: string, oldText: string, newText: string): string[] {
  if (oldText === newText) return [];
  const edits = editScript(splitLines(oldText), splitLines(newText));
  return [`--- ${oldName}`, `+++ ${newName}`, ...hunks(edits)];
}

function splitLines(text: string): string[] {
  if (text === "") return [];
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}

function editScript(before: readonly string[], after: readonly string[]): Edit[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) {
    end++;
  }
  const oldMiddle = before.slice(start, before.length - end);
  const newMiddle = after.slice(start, after.length - end);
  const isSmall = oldMiddle.length + newMiddle.length <= LINES_EXACT_MAX;
  return [
    ...before.slice(0, start).map(keep),
    ...(isSmall ? shortestScript(oldMiddle, newMiddle) : [...oldMiddle.map(remove), ...newMiddle.map(add)]),
    ...before.slice(before.length - end).map(keep),
  ];
}

/** Myers' greedy search forward, remembering each round, then the path walked back. */
function shortestScript(before: readonly string[], after: readonly string[]): Edit[] {
  const rounds = searchRounds(before, after);
  const offset = before.length + after.length + 1;
  const edits: Edit[] = [];
  let x = before.length;
  let y = after.length;
  for (let depth = rounds.length - 1; depth >= 0; depth--) {
    const reach = rounds[depth] ?? new Int32Array(0);
    const diagonal = x - y;
    const goesDown = isDown(reach, offset, diagonal, depth);
    const fromX = depth === 0 ? 0 : (reach[offset + diagonal + (goesDown ? 1 : -1)] ?? 0);
    const fromY = depth === 0 ? 0 : fromX - (diagonal + (goesDown ? 1 : -1));
    while (x > fromX && y > fromY && before[x - 1] === after[y - 1]) {
      edits.push(keep(before[x - 1] ?? ""));
      x--;
      y--;
    }
    if (depth > 0) edits.push(goesDown ? add(after[y - 1] ?? "") : remove(before[x - 1] ?? ""));
    x = fromX;
    y = fromY;
  }
  return edits.reverse();
}

/** The furthest x on every diagonal, as it stood before each round; the last round reached the end. */
function searchRounds(before: readonly string[], after: readonly string[]): Int32Array[] {
  const size = before.length + after.length;
  const offset = size + 1;
  const reach = new Int32Array(2 * size + 3);
  const rounds: Int32Array[] = [];
  for (let depth = 0; depth <= size; depth++) {
    rounds.push(reach.slice());
    for (let diagonal = -depth; diagonal <= depth; diagonal += 2) {
      const goesDown = isDown(reach, offset, diagonal, depth);
      let x = goesDown ? (reach[offset + diagonal + 1] ?? 0) : (reach[offset + diagonal - 1] ?? 0) + 1;
      let y = x - diagonal;
      while (x < before.length && y < after.length && before[x] === after[y]) {
        x++;
        y++;
      }
      reach[offset + diagonal] = x;
      if (x >= before.length && y >= after.length) return rounds;
    }
  }
  return rounds;
}

function isDown(reach: Int32Array, offset: number, diagonal: number, depth: number): boolean {
  if (diagonal === -depth) return true;
  if (diagonal === depth) return false;
  return (reach[offset + diagonal - 1] ?? 0) < (reach[offset + diagonal + 1] ?? 0);
}

function hunks(edits: readonly Edit[]): string[] {
  const lines: string[] = [];
  let oldLine = 1;
  let newLine = 1;
  let index = 0;
  while (index < edits.length) {
    const change = edits.findIndex((edit, at) => at >= index && edit.op !== " ");
    if (change < 0) break;
    const from = Math.max(index, change - CONTEXT_LINES);
    oldLine += from - index;
    newLine += from - index;
    const to = hunkEnd(edits, change);
    const hunk = edits.slice(from, to);
    const oldCount = hunk.filter((edit) => edit.op !== "+").length;
    const newCount = hunk.filter((edit) => edit.op !== "-").length;
    lines.push(`@@ -${range(oldLine, oldCount)} +${range(newLine, newCount)} @@`);
    for (const edit of hunk) lines.push(edit.op + edit.line);
    oldLine += oldCount;
    newLine += newCount;
    index = to;
  }
  return lines;
}

/** One past the last line of the hunk that begins at a change: it ends where the context of no change follows. */
function hunkEnd(edits: readonly Edit[], change: number): number {
  let last = change;
  for (let at = change; at < edits.length && at <= last + 2 * CONTEXT_LINES + 1; at++) {
    if (edits[at]?.op !== " ") last = at;
  }
  return Math.min(edits.length, last + CONTEXT_LINES + 1);
}

/** An empty range names the line before it, as POSIX diff does. */
function range(line: number, count: number): string {
  if (count === 0) return `${line - 1},0`;
  return count === 1 ? `${line}` : `${line},${count}`;
}

function keep(line: string): Edit {
  return { op: " ", line };
}

function remove(line: string): Edit {
  return { op: "-", line };
}

function add(line: string): Edit {
  return { op: "+", line };
}
