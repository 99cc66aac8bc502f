// Source text (YAML documents, or JSON) to plain values that remember where they stood. Bounded against hostile text:
// size, depth, aliases. Knows nothing of kinds and fields (load.ts).
import {
  type Alias,
  Composer,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type YAMLError,
  type YAMLMap,
  type Document as YamlDocument,
} from "yaml";
import { type FieldPath, formatPath } from "./field-path.ts";
import { ALIASED_NODES_MAX, DEPTH_MAX, DIAGNOSTICS_MAX } from "./schema/limits.ts";

/** 1-based. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A value of a source and the places of its parts. */
export interface ParsedValue {
  readonly value: unknown;
  /** Where the value at `path` starts, or its key; the nearest part around it where there is none. */
  place(path: FieldPath, at: "key" | "value"): Position;
  /** The value at `path` as a root of its own (the items of a List). */
  part(path: FieldPath): ParsedValue;
}

export interface ParseProblem extends Position {
  readonly path: string;
  readonly message: string;
  readonly expected: string;
}

export interface ParsedSource {
  readonly values: readonly ParsedValue[];
  readonly problems: readonly ParseProblem[];
}

/** All documents of a source that are not empty. A document with a problem is left out, the others are there. */
export function parseSource(content: string): ParsedSource {
  const lines = new LineCounter();
  const values: ParsedValue[] = [];
  const problems: ParseProblem[] = [];
  try {
    for (const document of composeDocuments(content, lines)) {
      if (problems.length > DIAGNOSTICS_MAX) break;
      const found = syntaxProblem(document, lines);
      if (found !== undefined) {
        problems.push(found);
        continue;
      }
      const reader = new NodeReader(lines);
      const value = reader.read(document.contents, [], 0);
      if (reader.problems.length > 0) problems.push(...reader.problems);
      else if (value !== null && document.contents !== null) values.push(new Part(value, document.contents, reader));
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problems.push({ line: 1, column: 1, path: "", ...TOO_DEEP });
  }
  return { values, problems };
}

function* composeDocuments(content: string, lines: LineCounter): Generator<YamlDocument.Parsed> {
  const text = isJson(content) ? content.replaceAll("\t", " ") : content;
  const parser = new Parser(lines.addNewLine);
  // uniqueKeys compares every key with every other (quadratic); NodeReader finds them with a set.
  const composer = new Composer({
    uniqueKeys: false,
    stringKeys: true,
    merge: true,
    prettyErrors: false,
    logLevel: "silent",
  });
  for (const document of composer.compose(parser.parse(text), true, text.length)) {
    yield document as YamlDocument.Parsed;
  }
}

/** JSON may be indented by tabs, YAML may not; elsewhere the one is a subset of the other. */
function isJson(content: string): boolean {
  if (!/^\s*[{[]/.test(content) || !content.includes("\t")) return false;
  try {
    JSON.parse(content);
    return true;
  } catch {
    return false;
  }
}

function syntaxProblem(document: YamlDocument.Parsed, lines: LineCounter): ParseProblem | undefined {
  const error: YAMLError | undefined =
    document.errors[0] ?? document.warnings.find((warning) => warning.code === "TAG_RESOLVE_FAILED");
  if (error === undefined) return undefined;
  const tooDeep = error.message.includes("call stack") ? TOO_DEEP : undefined;
  const { message, expected } = tooDeep ??
    SYNTAX_WORDS[error.code] ?? { message: lowerFirst(error.message), expected: "" };
  return { ...positionAt(lines, error.pos[0]), path: "", message, expected };
}

/** The composer is recursive: text that nests thousands deep ends in a RangeError, its own or one that it reports. */
const TOO_DEEP = { message: "is nested too deeply", expected: `at most ${DEPTH_MAX} levels` };

/** Plain words for the errors that people make most; the library's own for the others. */
const SYNTAX_WORDS: Readonly<Record<string, { message: string; expected: string }>> = {
  TAB_AS_INDENT: { message: "a tab indents this line", expected: "spaces" },
  BLOCK_AS_IMPLICIT_KEY: {
    message: "a second ': ' on this line",
    expected: "a line break, or quotes around text that has ': ' in it",
  },
  NON_STRING_KEY: { message: "a key is no text", expected: "a plain or quoted word" },
  MULTIPLE_ANCHORS: { message: "a value has two anchors", expected: "one" },
};

function lowerFirst(message: string): string {
  const line = message.split("\n", 1)[0] ?? "";
  return /^[A-Z][a-z]/.test(line) ? line.charAt(0).toLowerCase() + line.slice(1) : line;
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** A part of a document that can say where its parts stand. */
class Part implements ParsedValue {
  readonly value: unknown;
  readonly #root: Node;
  readonly #reader: NodeReader;

  constructor(value: unknown, root: Node, reader: NodeReader) {
    this.value = value;
    this.#root = root;
    this.#reader = reader;
  }

  place(path: FieldPath, at: "key" | "value"): Position {
    return this.#reader.place(this.#root, path, at);
  }

  part(path: FieldPath): ParsedValue {
    let value = this.value;
    let node: Node = this.#root;
    for (const step of path) {
      value = (value as Record<string | number, unknown>)[step];
      node = this.#reader.child(node, step)?.node ?? node;
    }
    return new Part(value, node, this.#reader);
  }
}

interface Child {
  readonly node: Node | undefined;
  readonly key: Node | undefined;
}

/** Turns the nodes of one document into values, and finds nodes again by path. */
class NodeReader {
  readonly problems: ParseProblem[] = [];
  readonly #lines: LineCounter;
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Alias, Node>();
  #aliasDepth = 0;
  #aliasedNodes = 0;

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  read(node: unknown, path: FieldPath, depth: number): unknown {
    if (this.problems.length > 0 && depth > DEPTH_MAX) return null;
    if (isAlias(node)) return this.#readAlias(node, path, depth);
    if (this.#aliasDepth > 0 && !this.#countAliased(node, path)) return null;
    if (isScalar(node) || isCollection(node)) {
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, node as Node);
    }
    if (isScalar(node)) return node.value;
    if (depth >= DEPTH_MAX && isCollection(node)) {
      this.#report(node as Node, path.slice(0, 1), TOO_DEEP.message, TOO_DEEP.expected);
      return null;
    }
    if (isMap(node)) return this.#readMap(node, path, depth);
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index], depth + 1));
    return null;
  }

  #readMap(map: YAMLMap, path: FieldPath, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    const merged: unknown[] = [];
    const seen = new Map<string, Node>();
    for (const pair of map.items) {
      const key = keyText(pair);
      const keyNode = pair.key as Node;
      const below = [...path, key];
      if (isMergePair(pair)) {
        merged.push(...[this.read(pair.value, below, depth + 1)].flat());
        continue;
      }
      const first = seen.get(key);
      if (first !== undefined) {
        const line = positionAt(this.#lines, first.range?.[0] ?? 0).line;
        this.#report(keyNode, below, "is there twice", `each key once (the first is on line ${line})`);
      } else if (key === "__proto__") {
        this.#report(keyNode, below, "is not a legal key", "");
      } else {
        seen.set(key, keyNode);
        value[key] = this.read(pair.value, below, depth + 1);
      }
    }
    // YAML 1.1 merge keys (`<<: *anchor`), which Kubernetes tools understand: the map's own keys win, then the earlier.
    for (const part of merged) {
      if (typeof part !== "object" || part === null) {
        this.#report(map as Node, path, "merges something that is no object", "<<: *anchor of an object");
        continue;
      }
      for (const [key, member] of Object.entries(part)) if (!Object.hasOwn(value, key)) value[key] = member;
    }
    return value;
  }

  #readAlias(alias: Alias, path: FieldPath, depth: number): unknown {
    const target = this.#anchors.get(alias.source);
    if (target === undefined) {
      this.#report(alias, path, `there is no anchor &${alias.source} before this alias`, "");
      return null;
    }
    this.#targets.set(alias, target);
    this.#aliasDepth++;
    const value = this.read(target, path, depth + 1);
    this.#aliasDepth--;
    return value;
  }

  /** Nodes that aliases repeat are bounded: a few lines of them can stand for gigabytes ("billion laughs"). */
  #countAliased(node: unknown, path: FieldPath): boolean {
    this.#aliasedNodes++;
    if (this.#aliasedNodes === ALIASED_NODES_MAX + 1) {
      this.#report(node as Node, path, "aliases repeat too much", `at most ${ALIASED_NODES_MAX} repeated values`);
    }
    return this.#aliasedNodes <= ALIASED_NODES_MAX;
  }

  #report(node: Node, path: FieldPath, message: string, expected: string): void {
    if (this.problems.length > DIAGNOSTICS_MAX) return;
    const position = positionAt(this.#lines, node.range?.[0] ?? 0);
    this.problems.push({ ...position, path: formatPath(path), message, expected });
  }

  /** Where the part at `path` starts, or the nearest part around it. */
  place(root: Node, path: FieldPath, at: "key" | "value"): Position {
    let key: Node | undefined;
    let node: Node = root;
    let missing = false;
    for (const step of path) {
      const child = this.child(node, step);
      missing = child === undefined;
      if (child === undefined) break;
      key = child.key ?? child.node;
      // A key without a value ("name:") has its value where the key stands.
      node = (isEmpty(child.node) ? child.key : child.node) ?? node;
    }
    const found = at === "key" && !missing ? (key ?? node) : node;
    return positionAt(this.#lines, found.range?.[0] ?? root.range?.[0] ?? 0);
  }

  child(parent: Node, step: string | number): Child | undefined {
    const node = isAlias(parent) ? this.#targets.get(parent) : parent;
    if (isSeq(node)) {
      const item = node.items[Number(step)];
      return item === undefined ? undefined : { node: item as Node, key: undefined };
    }
    if (!isMap(node)) return undefined;
    const own = node.items.find((pair) => keyText(pair) === String(step));
    if (own !== undefined) return { node: (own.value as Node | null) ?? undefined, key: own.key as Node };
    return this.#mergedChild(node, step);
  }

  #mergedChild(map: YAMLMap, step: string | number): Child | undefined {
    for (const pair of map.items.filter(isMergePair)) {
      const merged = isSeq(pair.value) ? pair.value.items : [pair.value];
      for (const part of merged) {
        const found = part === null ? undefined : this.child(part as Node, step);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }
}

function isEmpty(node: Node | undefined): boolean {
  return node === undefined || (isScalar(node) && node.value === null && node.source === "");
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? (pair.key.source ?? String(pair.key.value)) : String(pair.key);
}

function isMergePair(pair: unknown): boolean {
  return isPair(pair) && isScalar(pair.key) && pair.key.type === "PLAIN" && pair.key.source === "<<";
}
