// Finds the candidates whose path holds in one pass over the path, however many routes there are: a hash of every
// leading run of path elements is looked up as the pass goes by. The pass goes by words of four octets: a look at each
// character costs more than all the rest. Not a trie: a trie's depth, and so its time, grows with the number of routes;
// this table's does not (bench/routing.ts).
import { type Candidate, comparePrecedence, conditionsHold, PATH_RANK } from "./candidate.ts";
import { NOWHERE, PathPlace } from "./path-place.ts";
import type { RequestView } from "./request-view.ts";
import { normalPrefix } from "./rewrite.ts";

/** Candidates of one path text, each list in the order of precedence. */
interface PathNode {
  readonly path: string;
  readonly exact: Candidate[];
  readonly prefix: Candidate[];
  /** Those whose regular expression can only match what begins with this text. */
  readonly regexes: Candidate[];
  /** The node of the next shorter prefix that holds too; undefined at the root. */
  shorter: PathNode | undefined;
}

/**
 * Nodes by hash: open addressing with linear probing over groups of four, a power of two of them and at most half of
 * them filled. A group is where its path stands among `paths`, EXACT, PREFIX, node. EXACT is the first exact candidate when the path is its only
 * condition, which is then the answer; null when there is none; undefined when the node's list must be asked. PREFIX
 * likewise. So the usual lookup reads one group and one path: with 10,000 routes what costs is memory out of cache.
 */
type Slots = readonly (number | Candidate | PathNode | null | undefined)[];

const EXACT = 1;
const PREFIX = 2;
const NODE = 3;
const GROUP_SHIFT = 2;
const GROUP = 1 << GROUP_SHIFT;

export interface PathIndex {
  /** Another one for each, above 0. */
  readonly serial: number;
  readonly slots: Slots;
  /** Each path of the table: its length, and its octets in words. */
  readonly paths: Int32Array;
  /** Lengths at which a PathPrefix ends, and the literal beginning of a regular expression, ascending: no others are looked up. */
  readonly prefixLengths: readonly number[];
  readonly literalLengths: readonly number[];
  /** The node of prefix `/`, which holds for every path, `*` and the empty one included. */
  readonly root: PathNode;
  /** Length of the longest path in the table: nothing beyond it is read. */
  readonly lengthMax: number;
  readonly hasRegexes: boolean;
  /** Regular expressions that go after every prefix but `/`. */
  readonly lateRegexes: readonly Candidate[];
}

const SLASH = 47;
const HASH_SEED = 0x811c9dc5;
const HASH_PRIME = 0x01000193;
const GROUPS_PER_NODE = 2;

let built = 0;

/** Of a path that nobody keeps a place for. */
const passing = new PathPlace();

/** Builds the index. `candidates` must be in the order of precedence. */
export function buildPathIndex(candidates: readonly Candidate[]): PathIndex {
  const byPath = new Map<string, PathNode>();
  const lateRegexes: Candidate[] = [];
  const root = nodeAt(byPath, "");
  for (const candidate of candidates) {
    const { pathPattern } = candidate;
    const { type, value } = candidate.match.path;
    if (candidate.pathRank === PATH_RANK.methodOfAnyService) lateRegexes.push(candidate);
    else if (pathPattern !== undefined) nodeAt(byPath, pathPattern.prefix).regexes.push(candidate);
    else if (type === "Exact") nodeAt(byPath, value).exact.push(candidate);
    else nodeAt(byPath, normalPrefix(value)).prefix.push(candidate);
  }
  const nodes = [...byPath.values()];
  const lengthMax = nodes.reduce((longest, node) => Math.max(longest, node.path.length), 0);
  for (const node of nodes) node.shorter = shorterPrefix(byPath, node.path);
  const prefixLengths = lengthsOf(nodes.filter(({ prefix }) => prefix.length > 0));
  const literalLengths = lengthsOf(nodes.filter(({ regexes }) => regexes.length > 0));
  const hasRegexes = nodes.some((node) => node.regexes.length > 0);
  built += 1;
  return {
    serial: built,
    ...fillSlots(nodes),
    prefixLengths,
    literalLengths,
    root,
    lengthMax,
    hasRegexes,
    lateRegexes,
  };
}

/** Without the root's. */
function lengthsOf(nodes: readonly PathNode[]): number[] {
  return [...new Set(nodes.map(({ path }) => path.length))].filter((length) => length > 0).sort((a, b) => a - b);
}

function nodeAt(byPath: Map<string, PathNode>, path: string): PathNode {
  const known = byPath.get(path);
  if (known !== undefined) return known;
  const node: PathNode = { path, exact: [], prefix: [], regexes: [], shorter: undefined };
  byPath.set(path, node);
  return node;
}

function shorterPrefix(byPath: ReadonlyMap<string, PathNode>, path: string): PathNode | undefined {
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    const node = byPath.get(path.slice(0, slash));
    if (node !== undefined && node.prefix.length > 0) return node;
  }
  return path === "" ? undefined : byPath.get("");
}

function fillSlots(nodes: readonly PathNode[]): { slots: Slots; paths: Int32Array } {
  let groups = 4;
  while (groups < nodes.length * GROUPS_PER_NODE) groups *= 2;
  const paths: number[] = [];
  const slots: (number | Candidate | PathNode | null | undefined)[] = Array.from(
    { length: groups * GROUP },
    () => null,
  );
  const mask = slots.length - 1;
  for (const node of nodes) {
    const { length } = node.path;
    if (BEYOND_LATIN1.test(node.path)) continue;
    let at = firstGroup(hashOfPath(node.path), mask);
    while (slots[at] !== null) at = (at + GROUP) & mask;
    slots[at] = paths.length;
    paths.push(length, ...words.subarray(0, length >> 2), tailOf(length));
    slots[at + EXACT] = plainFirst(node.exact);
    slots[at + PREFIX] = plainFirst(node.prefix);
    slots[at + NODE] = node;
  }
  return { slots, paths: Int32Array.from(paths) };
}

function plainFirst([first]: readonly Candidate[]): Candidate | null | undefined {
  if (first === undefined) return null;
  return first.pathOnly ? first : undefined;
}

/** Holds for no request: their characters are octets. */
const BEYOND_LATIN1 = /[^\0-\xff]/;

const WORD_BYTES = 4;

/** With Node's own method, which its types leave out: `write` ends there after its checks. */
type Octets = Buffer<ArrayBuffer> & { latin1Write(text: string, at: number, length: number): number };

/** The path that is looked at, and the same in words. */
let octets = Buffer.allocUnsafeSlow(1_024) as Octets;
let words = new Int32Array(octets.buffer);
/** What of a word is the first 0 to 3 octets, whatever order the machine has them in. */
const FIRST_OCTETS = new Int32Array(
  Uint8Array.from([0, 0, 0, 0, 255, 0, 0, 0, 255, 255, 0, 0, 255, 255, 255, 0]).buffer,
);

/**
 * Makes the first `length` characters the octets that are looked at; of a character beyond latin1, which no request brings,
 * the low one. A path is a piece of its head, and asking that character by character costs a look at how it is made each time.
 */
function takeOctets(text: string, length: number): void {
  // With one more word, so that the tail of any length is there.
  if (length + WORD_BYTES > octets.length) {
    octets = Buffer.allocUnsafeSlow((length + 1) * 2 * WORD_BYTES) as Octets;
    words = new Int32Array(octets.buffer);
  }
  octets.latin1Write(text, 0, length);
}

/** What the table finds a path by. */
export function hashOfPath(path: string): number {
  takeOctets(path, path.length);
  return endOfHash(hashOfWords(HASH_SEED, 0, path.length >> 2), path.length);
}

/** FNV-1a over words[from, to), whose low bits are weak: the high ones are mixed in each time. */
function hashOfWords(start: number, from: number, to: number): number {
  let hash = start | 0;
  for (let at = from; at < to; at += 1) {
    hash = Math.imul(hash ^ (words[at] as number), HASH_PRIME);
    hash ^= hash >>> 13;
  }
  return hash;
}

/** The octets behind the last whole word of the first `length`. */
function tailOf(length: number): number {
  return (words[length >> 2] as number) & (FIRST_OCTETS[length & 3] as number);
}

/** @param hash of the whole words */
function endOfHash(hash: number, length: number): number {
  const end = Math.imul(hash ^ tailOf(length), HASH_PRIME);
  return Math.imul(end ^ (end >>> 15) ^ length, HASH_PRIME);
}

/** Where the search for a hash begins. */
function firstGroup(hash: number, mask: number): number {
  return ((hash ^ (hash >>> 15)) << GROUP_SHIFT) & mask;
}

/** The first candidate by precedence that holds for the request. Creates nothing, but for what regexes need. */
export function findInPaths(index: PathIndex, view: RequestView): Candidate | undefined {
  const place = view.place ?? passing;
  if (place.index !== index.serial || place === passing) locate(index, view.path, place);
  const { exact: at } = place;
  if (at !== NOWHERE) {
    const { slots } = index;
    const exact = slots[at + EXACT];
    if (exact !== null) {
      const found = (exact as Candidate | undefined) ?? firstHolding((slots[at + NODE] as PathNode).exact, view);
      if (found !== undefined) return found;
    }
  }
  return findByPrefix(index, place.deepest, view);
}

/** Fills `place` in. */
function locate(index: PathIndex, path: string, place: PathPlace): void {
  const { slots, prefixLengths } = index;
  const end = Math.min(path.length, index.lengthMax + 1);
  takeOctets(path, end);
  let hash = HASH_SEED;
  let hashed = 0;
  let exact = NOWHERE;
  let deepest = NOWHERE;
  for (let which = 0; which < prefixLengths.length; which += 1) {
    const length = prefixLengths[which] as number;
    if (length >= end) break;
    if (octets[length] !== SLASH) continue;
    hash = hashOfWords(hash, hashed, length >> 2);
    hashed = length >> 2;
    const at = probe(index, hash, length);
    if (at !== NOWHERE && slots[at + PREFIX] !== null) deepest = at;
  }
  if (path.length > 0 && path.length <= index.lengthMax) {
    exact = probe(index, hashOfWords(hash, hashed, path.length >> 2), path.length);
    if (exact !== NOWHERE && slots[exact + PREFIX] !== null) deepest = exact;
  }
  place.index = index.serial;
  place.exact = exact;
  place.deepest = deepest;
}

/** What goes after exact paths. @param deepest as of PathPlace */
function findByPrefix(index: PathIndex, deepest: number, view: RequestView): Candidate | undefined {
  if (index.hasRegexes) {
    const found = findRegex(index, view);
    if (found !== undefined) return found;
  }
  if (deepest !== NOWHERE) {
    const plain = index.slots[deepest + PREFIX] as Candidate | undefined;
    const found = plain ?? firstPrefix(index.slots[deepest + NODE] as PathNode, view);
    if (found !== undefined) return found;
  }
  return firstRegex(index.lateRegexes, view, undefined) ?? firstHolding(index.root.prefix, view);
}

/** The group of the first `length` octets; NOWHERE when there is none. @param hash of their whole words */
function probe({ slots, paths }: PathIndex, hash: number, length: number): number {
  const mask = slots.length - 1;
  for (let at = firstGroup(endOfHash(hash, length), mask); ; at = (at + GROUP) & mask) {
    const known = slots[at] as number | null;
    if (known === null) return NOWHERE;
    if (paths[known] === length && isPath(paths, known + 1, length)) return at;
  }
}

/** Are the first `length` octets those whose words begin at `start` of `paths`? */
function isPath(paths: Int32Array, start: number, length: number): boolean {
  const count = length >> 2;
  for (let at = 0; at < count; at += 1) if (paths[start + at] !== words[at]) return false;
  return paths[start + count] === tailOf(length);
}

function firstHolding(candidates: readonly Candidate[], view: RequestView): Candidate | undefined {
  for (const candidate of candidates) {
    if (conditionsHold(candidate, view)) return candidate;
  }
  return undefined;
}

/** The first regular expression that holds: only those are tried whose literal beginning the path begins with. */
function findRegex(index: PathIndex, view: RequestView): Candidate | undefined {
  const { slots, literalLengths, root } = index;
  // Conditions of candidates may have looked up another path since.
  const end = Math.min(view.path.length, index.lengthMax);
  takeOctets(view.path, end);
  let best = firstRegex(root.regexes, view, undefined);
  let hash = HASH_SEED;
  let hashed = 0;
  for (const length of literalLengths) {
    if (length > end) break;
    hash = hashOfWords(hash, hashed, length >> 2);
    hashed = length >> 2;
    const at = probe(index, hash, length);
    if (at !== NOWHERE) best = firstRegex((slots[at + NODE] as PathNode).regexes, view, best);
  }
  return best;
}

/** The first that holds, unless `best` goes before it. */
function firstRegex(
  candidates: readonly Candidate[],
  view: RequestView,
  best: Candidate | undefined,
): Candidate | undefined {
  for (const candidate of candidates) {
    if (best !== undefined && comparePrecedence(best, candidate) < 0) return best;
    if (candidate.method !== "" && candidate.method !== view.method) continue;
    if (candidate.pathPattern?.test(view.path) && conditionsHold(candidate, view)) return candidate;
  }
  return best;
}

/** From the longest prefix up to, and without, the root. */
function firstPrefix(deepest: PathNode, view: RequestView): Candidate | undefined {
  for (let node = deepest; node.shorter !== undefined; node = node.shorter) {
    const candidate = firstHolding(node.prefix, view);
    if (candidate !== undefined) return candidate;
  }
  return undefined;
}
