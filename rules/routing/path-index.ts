// Finds the candidates whose path holds in one pass over the path, however many routes there are: a hash of every
// leading run of path elements is looked up as the pass goes by. Not a trie: a trie's depth, and so its time, grows
// with the number of routes; this table's does not (bench/routing.ts).
import { type Candidate, comparePrecedence, conditionsHold, PATH_RANK } from "./candidate.ts";
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
 * them filled. A group is path, EXACT, PREFIX, node. EXACT is the first exact candidate when the path is its only
 * condition, which is then the answer; null when there is none; undefined when the node's list must be asked. PREFIX
 * likewise. So the usual lookup reads one group and one string: with 10,000 routes what costs is memory out of cache.
 */
type Slots = readonly (string | Candidate | PathNode | null | undefined)[];

const EXACT = 1;
const PREFIX = 2;
const NODE = 3;
const GROUP_SHIFT = 2;
const GROUP = 1 << GROUP_SHIFT;

export interface PathIndex {
  readonly slots: Slots;
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
const GROUPS_PER_NODE = 2;
const NOWHERE = -1;
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
  const node: PathNode = { path, exact: [], prefix: [], regexes: [], shorter: undefined };
  byPath.set(path, node);
  return node;
}

/** The same text in one piece: comparing with a slice or a concatenation costs a look into other memory each time. */
function flat(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

function shorterPrefix(byPath: ReadonlyMap<string, PathNode>, path: string): PathNode | undefined {
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    const node = byPath.get(path.slice(0, slash));
    if (node !== undefined && node.prefix.length > 0) return node;
  }
  return path === "" ? undefined : byPath.get("");
}

function fillSlots(nodes: readonly PathNode[]): Slots {
  let groups = 4;
  while (groups < nodes.length * GROUPS_PER_NODE) groups *= 2;
  const slots: (string | Candidate | PathNode | null | undefined)[] = Array.from(
    { length: groups * GROUP },
    () => null,
  );
  const mask = slots.length - 1;
  for (const node of nodes) {
    let at = firstGroup(hashText(node.path), mask);
    while (slots[at] !== null) at = (at + GROUP) & mask;
    slots[at] = flat(node.path);
    slots[at + EXACT] = plainFirst(node.exact);
    slots[at + PREFIX] = plainFirst(node.prefix);
    slots[at + NODE] = node;
  }
  return slots;
}

function plainFirst([first]: readonly Candidate[]): Candidate | null | undefined {
  if (first === undefined) return null;
  return first.pathOnly ? first : undefined;
}

/** FNV-1a over octets. */
function hashText(text: string): number {
  const octets = octetsOf(text, text.length);
  let hash = HASH_SEED | 0;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ (octets[index] as number), HASH_PRIME);
  return hash;
}

let scratch = Buffer.allocUnsafeSlow(1_024);

/**
 * The first `length` characters as octets, until the next call; of a character beyond latin1, which no request brings, the
 * low one. A path is a piece of its head, and asking that character by character costs a look at how it is made each time.
 */
function octetsOf(text: string, length: number): Buffer {
  if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2);
  scratch.write(text, 0, length, "latin1");
  return scratch;
}

/** Where the search for a hash begins. FNV's low bits are weak, so the high ones are mixed in. */
function firstGroup(hash: number, mask: number): number {
  return ((hash ^ (hash >>> 15)) << GROUP_SHIFT) & mask;
}

/** The first candidate by precedence that holds for the request. Creates nothing, but for what regexes need. */
export function findInPaths(index: PathIndex, view: RequestView): Candidate | undefined {
  const path = view.path;
  const { slots, prefixLengths } = index;
  const end = Math.min(path.length, index.lengthMax + 1);
  const octets = octetsOf(path, end);
  let hash = HASH_SEED | 0;
  let deepest = NOWHERE;
  for (let position = 0; position < end; position += 1) {
    const code = octets[position] as number;
    if (code === SLASH && position > 0 && ((prefixLengths[position] as number) & ELEMENTS) !== 0) {
      const at = probe(slots, hash, octets, position);
      if (at !== NOWHERE && slots[at + PREFIX] !== null) deepest = at;
    }
    hash = Math.imul(hash ^ code, HASH_PRIME);
  }
  if (path.length > 0 && path.length <= index.lengthMax) {
    const at = probe(slots, hash, octets, path.length);
    if (at !== NOWHERE) {
      const exact = slots[at + EXACT];
      if (exact !== null) {
        const found = (exact as Candidate | undefined) ?? firstHolding((slots[at + NODE] as PathNode).exact, view);
        if (found !== undefined) return found;
      }
      if (slots[at + PREFIX] !== null) deepest = at;
    }
  }
  return findByPrefix(index, deepest, view);
}

/** What goes after exact paths. `deepest` is the group of the longest prefix that holds. */
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

/** The group of the first `length` octets of a path, whose hash is `hash`; NOWHERE when there is none. */
function probe(slots: Slots, hash: number, octets: Buffer, length: number): number {
  const mask = slots.length - 1;
  for (let at = firstGroup(hash, mask); ; at = (at + GROUP) & mask) {
    const known = slots[at] as string | null;
    if (known === null) return NOWHERE;
    if (known.length === length && isText(octets, known)) return at;
  }
}

function isText(octets: Buffer, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (octets[index] !== text.charCodeAt(index)) return false;
  return true;
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
  const octets = octetsOf(path, end);
  let best = firstRegex(root.regexes, view, undefined);
  let hash = HASH_SEED | 0;
  for (let position = 0; position < end; position += 1) {
    hash = Math.imul(hash ^ (octets[position] as number), HASH_PRIME);
    if (((prefixLengths[position + 1] as number) & LITERAL) === 0) continue;
    const at = probe(slots, hash, octets, position + 1);
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
