// Finds the candidates whose path holds in one pass over the path, however many routes there are: a hash of every
// leading run of path elements is looked up as the pass goes by. Not a trie: a trie's depth, and so its time, grows
// with the number of routes; this table's does not (bench/routing.ts).
import { type Candidate, comparePrecedence, conditionsHold, PATH_RANK } from "./candidate.ts";
import type { RequestView } from "./request-view.ts";
import { normalPrefix } from "./rewrite.ts";

/** Candidates of one path text. Fields in the order in which a lookup reads them: the first ones share a cache line. */
interface PathNode {
  readonly hash: number;
  readonly path: string;
  /** The first of `exact` or `prefix` when the path is its only condition: then it wins, and is not even read. */
  plainExact: Candidate | undefined;
  plainPrefix: Candidate | undefined;
  /** In the order of precedence. */
  readonly exact: Candidate[];
  readonly prefix: Candidate[];
  /** Those whose regular expression can only match what begins with this text. */
  readonly regexes: Candidate[];
  /** The node of the next shorter prefix that holds too; undefined at the root. */
  shorter: PathNode | undefined;
}

export interface PathIndex {
  /** Nodes by hash: open addressing with linear probing. The length is a power of two, at most half of it filled. */
  readonly slots: readonly (PathNode | undefined)[];
  /** What the table has at every length (ELEMENTS, LITERAL): no other length is looked up. */
  readonly prefixLengths: Uint8Array;
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
const SLOTS_PER_NODE = 2;
/** A length at which a PathPrefix ends. */
const ELEMENTS = 1;
/** A length at which the literal beginning of a regular expression ends. */
const LITERAL = 2;

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
  const prefixLengths = new Uint8Array(lengthMax + 1);
  for (const node of nodes) {
    node.shorter = shorterPrefix(byPath, node.path);
    node.plainExact = plainFirst(node.exact);
    node.plainPrefix = plainFirst(node.prefix);
    prefixLengths[node.path.length] = (prefixLengths[node.path.length] ?? 0) | lengthFlags(node);
  }
  const hasRegexes = nodes.some((node) => node.regexes.length > 0);
  return { slots: fillSlots(nodes), prefixLengths, root, lengthMax, hasRegexes, lateRegexes };
}

function lengthFlags({ prefix, regexes }: PathNode): number {
  return (prefix.length > 0 ? ELEMENTS : 0) | (regexes.length > 0 ? LITERAL : 0);
}

function nodeAt(byPath: Map<string, PathNode>, path: string): PathNode {
  const known = byPath.get(path);
  if (known !== undefined) return known;
  const node: PathNode = {
    hash: hashText(path),
    path: flat(path),
    plainExact: undefined,
    plainPrefix: undefined,
    exact: [],
    prefix: [],
    regexes: [],
    shorter: undefined,
  };
  byPath.set(path, node);
  return node;
}

/** The same text in one piece: comparing with a slice or a concatenation costs a look into other memory each time. */
function flat(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

function plainFirst([first]: readonly Candidate[]): Candidate | undefined {
  return first?.pathOnly ? first : undefined;
}

function shorterPrefix(byPath: ReadonlyMap<string, PathNode>, path: string): PathNode | undefined {
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    const node = byPath.get(path.slice(0, slash));
    if (node !== undefined && node.prefix.length > 0) return node;
  }
  return path === "" ? undefined : byPath.get("");
}

function fillSlots(nodes: readonly PathNode[]): (PathNode | undefined)[] {
  let capacity = 4;
  while (capacity < nodes.length * SLOTS_PER_NODE) capacity *= 2;
  const slots = Array.from({ length: capacity }, (): PathNode | undefined => undefined);
  for (const node of nodes) {
    let at = firstSlot(node.hash, capacity - 1);
    while (slots[at] !== undefined) at = (at + 1) & (capacity - 1);
    slots[at] = node;
  }
  return slots;
}

/** FNV-1a over UTF-16 units. */
function hashText(text: string): number {
  let hash = HASH_SEED | 0;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), HASH_PRIME);
  return hash;
}

/** Where the search for a hash begins. FNV's low bits are weak, so the high ones are mixed in. */
function firstSlot(hash: number, mask: number): number {
  return (hash ^ (hash >>> 15)) & mask;
}

/** The first candidate by precedence that holds for the request. Creates nothing, but for what regexes need. */
export function findInPaths(index: PathIndex, view: RequestView): Candidate | undefined {
  const path = view.path;
  const { slots, prefixLengths } = index;
  const end = Math.min(path.length, index.lengthMax + 1);
  let hash = HASH_SEED | 0;
  let deepest = index.root;
  for (let position = 0; position < end; position += 1) {
    const code = path.charCodeAt(position);
    if (code === SLASH && position > 0 && ((prefixLengths[position] as number) & ELEMENTS) !== 0) {
      const node = probe(slots, hash, path, position);
      if (node !== undefined && node.prefix.length > 0) deepest = node;
    }
    hash = Math.imul(hash ^ code, HASH_PRIME);
  }
  if (path.length <= index.lengthMax) {
    const whole = probe(slots, hash, path, path.length);
    if (whole !== undefined) {
      const exact = whole.plainExact ?? firstHolding(whole.exact, view);
      if (exact !== undefined) return exact;
      if (whole.prefix.length > 0) deepest = whole;
    }
  }
  if (!index.hasRegexes && deepest.plainPrefix !== undefined && deepest !== index.root) return deepest.plainPrefix;
  return (
    (index.hasRegexes ? findRegex(index, view) : undefined) ??
    firstPrefix(deepest, view) ??
    firstRegex(index.lateRegexes, view, undefined) ??
    firstHolding(index.root.prefix, view)
  );
}

/** The node of the first `length` characters of `path`, whose hash is `hash`. */
function probe(
  slots: readonly (PathNode | undefined)[],
  hash: number,
  path: string,
  length: number,
): PathNode | undefined {
  const mask = slots.length - 1;
  for (let at = firstSlot(hash, mask); ; at = (at + 1) & mask) {
    const node = slots[at];
    if (node === undefined) return undefined;
    if (node.hash === hash && node.path.length === length && path.startsWith(node.path)) return node;
  }
}

function firstHolding(candidates: readonly Candidate[], view: RequestView): Candidate | undefined {
  for (const candidate of candidates) {
    if (conditionsHold(candidate, view)) return candidate;
  }
  return undefined;
}

/** The first regular expression that holds: only those are tried whose literal beginning the path begins with. */
function findRegex({ slots, prefixLengths, root, lengthMax }: PathIndex, view: RequestView): Candidate | undefined {
  const path = view.path;
  const end = Math.min(path.length, lengthMax);
  let best = firstRegex(root.regexes, view, undefined);
  let hash = HASH_SEED | 0;
  for (let position = 0; position < end; position += 1) {
    hash = Math.imul(hash ^ path.charCodeAt(position), HASH_PRIME);
    if (((prefixLengths[position + 1] as number) & LITERAL) === 0) continue;
    const node = probe(slots, hash, path, position + 1);
    if (node !== undefined) best = firstRegex(node.regexes, view, best);
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
