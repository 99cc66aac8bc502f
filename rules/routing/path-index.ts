// Finds the candidates whose path holds in one pass over the path, however many routes there are: a hash of every
// leading run of path elements is looked up as the pass goes by. Not a trie: a trie's depth, and so its time, grows
// with the number of routes; this table's does not (bench/routing.ts).
import { type Candidate, conditionsHold, PATH_RANK } from "./candidate.ts";
import type { RequestView } from "./request-view.ts";
import { normalPrefix } from "./rewrite.ts";

/** Candidates of one path text, each list in the order of precedence. */
interface PathNode {
  readonly path: string;
  readonly exact: Candidate[];
  readonly prefix: Candidate[];
  /** The node of the next shorter prefix that holds too; undefined at the root. */
  shorter: PathNode | undefined;
}

export interface PathIndex {
  /** Pairs of hash and node number plus one (0: free), open addressing with linear probing; length is a power of two. */
  readonly slots: Int32Array;
  readonly nodes: readonly PathNode[];
  /** The node of prefix `/`, which holds for every path, `*` and the empty one included. */
  readonly root: PathNode;
  /** Length of the longest path in the table: nothing beyond it is read. */
  readonly lengthMax: number;
  /** Those that go before every prefix. */
  readonly regexes: readonly Candidate[];
  /** Those that go after every prefix but `/`. */
  readonly lateRegexes: readonly Candidate[];
}

const SLASH = 47;
const HASH_SEED = 0x811c9dc5;
const HASH_PRIME = 0x01000193;
/** Slots per node: at most a quarter full, so that a miss is nearly always one look. */
const SLOTS_PER_NODE = 4;

/** Builds the index. `candidates` must be in the order of precedence. */
export function buildPathIndex(candidates: readonly Candidate[]): PathIndex {
  const byPath = new Map<string, PathNode>();
  const regexes: Candidate[] = [];
  const lateRegexes: Candidate[] = [];
  const root = nodeAt(byPath, "");
  for (const candidate of candidates) {
    const { type, value } = candidate.match.path;
    if (candidate.pathRank === PATH_RANK.methodOfAnyService) lateRegexes.push(candidate);
    else if (type === "RegularExpression") regexes.push(candidate);
    else if (type === "Exact") nodeAt(byPath, value).exact.push(candidate);
    else nodeAt(byPath, normalPrefix(value)).prefix.push(candidate);
  }
  for (const node of byPath.values()) node.shorter = shorterPrefix(byPath, node.path);
  const nodes = [...byPath.values()];
  const lengthMax = nodes.reduce((longest, node) => Math.max(longest, node.path.length), 0);
  return { slots: fillSlots(nodes), nodes, root, lengthMax, regexes, lateRegexes };
}

function nodeAt(byPath: Map<string, PathNode>, path: string): PathNode {
  const known = byPath.get(path);
  if (known !== undefined) return known;
  const node: PathNode = { path, exact: [], prefix: [], shorter: undefined };
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

function fillSlots(nodes: readonly PathNode[]): Int32Array {
  let capacity = 4;
  while (capacity < nodes.length * SLOTS_PER_NODE) capacity *= 2;
  const slots = new Int32Array(capacity * 2);
  for (const [number, node] of nodes.entries()) {
    const hash = hashText(node.path);
    let slot = firstSlot(hash, slots.length);
    while (slots[slot + 1] !== 0) slot = (slot + 2) & (slots.length - 1);
    slots[slot] = hash;
    slots[slot + 1] = number + 1;
  }
  return slots;
}

/** FNV-1a over UTF-16 units. */
function hashText(text: string): number {
  let hash = HASH_SEED | 0;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), HASH_PRIME);
  return hash;
}

/** Index of the pair at which the search for a hash begins. FNV's low bits are weak, so the high ones are mixed in. */
function firstSlot(hash: number, slotsLength: number): number {
  return ((hash ^ (hash >>> 15)) << 1) & (slotsLength - 1);
}

/** The first candidate by precedence that holds for the request. Creates nothing, but for what regexes need. */
export function findInPaths(index: PathIndex, view: RequestView): Candidate | undefined {
  const path = view.path;
  const { slots, nodes } = index;
  const end = Math.min(path.length, index.lengthMax + 1);
  let hash = HASH_SEED | 0;
  let deepest = index.root;
  for (let position = 0; position < end; position += 1) {
    const code = path.charCodeAt(position);
    if (code === SLASH && position > 0) {
      const node = probe(slots, nodes, hash, path, position);
      if (node !== undefined && node.prefix.length > 0) deepest = node;
    }
    hash = Math.imul(hash ^ code, HASH_PRIME);
  }
  if (path.length <= index.lengthMax) {
    const whole = probe(slots, nodes, hash, path, path.length);
    if (whole !== undefined) {
      const exact = firstHolding(whole.exact, view);
      if (exact !== undefined) return exact;
      if (whole.prefix.length > 0) deepest = whole;
    }
  }
  return (
    firstRegex(index.regexes, view) ??
    firstPrefix(deepest, view) ??
    firstRegex(index.lateRegexes, view) ??
    firstHolding(index.root.prefix, view)
  );
}

function probe(
  slots: Int32Array,
  nodes: readonly PathNode[],
  hash: number,
  path: string,
  length: number,
): PathNode | undefined {
  const mask = slots.length - 1;
  for (let slot = firstSlot(hash, slots.length); ; slot = (slot + 2) & mask) {
    const number = slots[slot + 1] as number;
    if (number === 0) return undefined;
    if (slots[slot] !== hash) continue;
    const node = nodes[number - 1];
    if (node !== undefined && node.path.length === length && path.startsWith(node.path)) return node;
  }
}

function firstHolding(candidates: readonly Candidate[], view: RequestView): Candidate | undefined {
  for (const candidate of candidates) {
    if (conditionsHold(candidate, view)) return candidate;
  }
  return undefined;
}

function firstRegex(regexes: readonly Candidate[], view: RequestView): Candidate | undefined {
  for (const candidate of regexes) {
    if (candidate.method !== "" && candidate.method !== view.method) continue;
    if (candidate.pathPattern?.test(view.path) && conditionsHold(candidate, view)) return candidate;
  }
  return undefined;
}

/** From the longest prefix up to, and without, the root. */
function firstPrefix(deepest: PathNode, view: RequestView): Candidate | undefined {
  for (let node = deepest; node.shorter !== undefined; node = node.shorter) {
    const candidate = firstHolding(node.prefix, view);
    if (candidate !== undefined) return candidate;
  }
  return undefined;
}
