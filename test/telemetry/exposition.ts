// A strict reader of the two text formats of metrics, for tests: what it reads, every scraper reads. Prometheus 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/) and OpenMetrics 1.0.0
// (https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md). Stricter than both where sidecars
// promise more: every family has a HELP and a TYPE, and counters are named so.
import type { ExpositionFormat } from "../../runtime/metrics-format.ts";

export interface Exemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly exemplar?: Exemplar | undefined;
}

export interface ReadFamily {
  readonly name: string;
  type: string;
  help: string | undefined;
  unit: string;
  readonly samples: Sample[];
}

const SUFFIXES: Readonly<Record<ExpositionFormat, Readonly<Record<string, readonly string[]>>>> = {
  prometheus: { counter: [""], gauge: [""], histogram: ["_bucket", "_sum", "_count"] },
  openmetrics: { counter: ["_total"], gauge: [""], histogram: ["_bucket", "_sum", "_count"] },
};
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|Inf|NaN)$/;
/** Section "Exemplars". */
const EXEMPLAR_CHARACTERS_MAX = 128;

/** @throws Error naming the line that breaks a rule, and the rule */
export function readExposition(text: string, format: ExpositionFormat): Map<string, ReadFamily> {
  const reader = new Reader(format);
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error("the last line has no end");
  if (format === "openmetrics" && lines.pop() !== "# EOF") throw new Error("it does not end with # EOF");
  for (const [index, line] of lines.entries()) {
    try {
      reader.take(line);
    } catch (error) {
      throw new Error(`line ${index + 1}: ${(error as Error).message}: ${line.slice(0, 200)}`);
    }
  }
  reader.end();
  return reader.families;
}

class Reader {
  readonly families = new Map<string, ReadFamily>();
  readonly #format: ExpositionFormat;
  readonly #seen = new Set<string>();
  #family: ReadFamily | undefined;

  constructor(format: ExpositionFormat) {
    this.#format = format;
  }

  take(line: string): void {
    if (line === "") throw new Error("a blank line");
    if (line.startsWith("#")) this.#metadata(line);
    else this.#sample(line);
  }

  end(): void {
    this.#close();
    const names = new Set<string>();
    for (const { name, type } of this.families.values()) {
      for (const suffix of new Set(["", ...(SUFFIXES[this.#format][type] ?? [])])) {
        if (names.has(name + suffix)) throw new Error(`${name + suffix} belongs to two families`);
        names.add(name + suffix);
      }
    }
  }

  #metadata(line: string): void {
    const [, keyword = "", name = "", rest = ""] = /^# (HELP|TYPE|UNIT) (\S+)(?: (.*))?$/.exec(line) ?? [];
    if (!NAME.test(name)) throw new Error("neither HELP, TYPE nor UNIT of a family");
    if (this.#family?.name !== name) this.#begin(name);
    const family = this.#family;
    if (family === undefined) return;
    if (family.samples.length > 0) throw new Error("metadata behind samples");
    if (keyword === "HELP") {
      if (family.help !== undefined) throw new Error("a second HELP");
      family.help = unescaped(rest, this.#format === "openmetrics" ? '\\n"' : "\\n");
    } else if (keyword === "TYPE") {
      if (family.type !== "") throw new Error("a second TYPE");
      if (SUFFIXES[this.#format][rest] === undefined) throw new Error("a type that there is not");
      family.type = rest;
    } else {
      if (this.#format !== "openmetrics") throw new Error("UNIT is of OpenMetrics");
      if (family.unit !== "" || rest === "") throw new Error("a second UNIT, or none");
      if (!name.endsWith(`_${rest}`)) throw new Error("the name does not end with its unit");
      family.unit = rest;
    }
  }

  #begin(name: string): void {
    this.#close();
    if (this.families.has(name)) throw new Error("a family that was there before");
    this.#family = { name, type: "", help: undefined, unit: "", samples: [] };
    this.families.set(name, this.#family);
  }

  #sample(line: string): void {
    const family = this.#family;
    if (family === undefined || family.type === "" || !family.help) throw new Error("a sample without TYPE and HELP");
    const sample = parseSample(line, this.#format);
    const suffix = sample.name.slice(family.name.length);
    if (!sample.name.startsWith(family.name) || SUFFIXES[this.#format][family.type]?.includes(suffix) !== true)
      throw new Error(`not a sample of the ${family.type} ${family.name}`);
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    if (this.#seen.has(key)) throw new Error("a sample that was there before");
    this.#seen.add(key);
    checkReserved(sample, family.type, suffix);
    if (family.type === "counter") {
      if (!sample.name.endsWith("_total")) throw new Error("a counter that is not named so");
      if (!(sample.value >= 0)) throw new Error("a counter that is no count");
    }
    if (sample.exemplar !== undefined && suffix !== "_bucket" && suffix !== "_total")
      throw new Error("an exemplar where none may be");
    family.samples.push(sample);
  }

  /** The family is complete. */
  #close(): void {
    const family = this.#family;
    if (family === undefined) return;
    if (family.type === "" || !family.help) throw new Error(`${family.name} has no TYPE or no HELP`);
    const groups = new Map<string, Sample[]>();
    let last = "";
    for (const sample of family.samples) {
      const { le: _, ...labels } = sample.labels;
      const key = JSON.stringify(Object.entries(labels).sort());
      if (key !== last && groups.has(key)) throw new Error(`${family.name}: samples of one series are not together`);
      groups.set(key, [...(groups.get(key) ?? []), sample]);
      last = key;
    }
    if (family.type === "histogram")
      for (const group of groups.values()) checkHistogram(family.name, group, this.#format);
  }
}

/** `le` and `quantile` mean something: other families must not have them. */
function checkReserved({ labels }: Sample, type: string, suffix: string): void {
  if ("quantile" in labels) throw new Error("only summaries have quantiles");
  if ("le" in labels !== (type === "histogram" && suffix === "_bucket"))
    throw new Error("le is of buckets, and of nothing else");
}

function checkHistogram(name: string, group: readonly Sample[], format: ExpositionFormat): void {
  const of = (suffix: string) => group.filter((sample) => sample.name === name + suffix);
  const [buckets, sums, counts] = [of("_bucket"), of("_sum"), of("_count")];
  if (sums.length !== 1 || counts.length !== 1) throw new Error(`${name}: a histogram without its sum or count`);
  let [bound, count] = [Number.NEGATIVE_INFINITY, 0];
  for (const { labels, value, exemplar } of buckets) {
    const le = labels["le"] ?? "";
    const next = numberOf(le);
    if (format === "openmetrics" && !/[.eI]/.test(le)) throw new Error(`${name}: le="${le}" is no float`);
    if (!(next > bound)) throw new Error(`${name}: le="${le}" is not above the one before`);
    if (!(value >= count)) throw new Error(`${name}: the bucket of ${le} holds less than the one before`);
    if (exemplar !== undefined && !(exemplar.value <= next && exemplar.value > bound))
      throw new Error(`${name}: an exemplar of ${exemplar.value} in the bucket up to ${le}`);
    [bound, count] = [next, value];
  }
  if (bound !== Number.POSITIVE_INFINITY) throw new Error(`${name}: no bucket of +Inf`);
  if (count !== counts[0]?.value) throw new Error(`${name}: the count is not that of +Inf`);
}

function parseSample(line: string, format: ExpositionFormat): Sample {
  const cursor = new Cursor(line);
  const name = cursor.match(/[a-zA-Z_:][a-zA-Z0-9_:]*/y, "a name");
  const labels = cursor.peek() === "{" ? cursor.labels() : {};
  cursor.expect(" ");
  const value = numberOf(cursor.match(/\S+/y, "a value"));
  if (cursor.isAtEnd) return { name, labels, value };
  if (format !== "openmetrics") throw new Error("something behind the value");
  cursor.expect(" # ");
  return { name, labels, value, exemplar: parseExemplar(cursor) };
}

function parseExemplar(cursor: Cursor): Exemplar {
  const labels = cursor.labels();
  const characters = Object.entries(labels).flat().join("");
  if ([...characters].length > EXEMPLAR_CHARACTERS_MAX) throw new Error("the labels of the exemplar are too long");
  cursor.expect(" ");
  const value = numberOf(cursor.match(/\S+/y, "a value of the exemplar"));
  cursor.expect(" ");
  const timestamp = numberOf(cursor.match(/\S+/y, "a time of the exemplar"));
  if (!cursor.isAtEnd) throw new Error("something behind the exemplar");
  return { labels, value, timestamp };
}

class Cursor {
  readonly #line: string;
  #at = 0;

  constructor(line: string) {
    this.#line = line;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#line.length;
  }

  peek(): string {
    return this.#line[this.#at] ?? "";
  }

  expect(text: string): void {
    if (!this.#line.startsWith(text, this.#at)) throw new Error(`no "${text}" at column ${this.#at + 1}`);
    this.#at += text.length;
  }

  match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#line)?.[0];
    if (found === undefined) throw new Error(`no ${what} at column ${this.#at + 1}`);
    this.#at += found.length;
    return found;
  }

  labels(): Record<string, string> {
    const labels: Record<string, string> = {};
    this.expect("{");
    while (this.peek() !== "}") {
      if (Object.keys(labels).length > 0) this.expect(",");
      const name = this.match(/[^="{},]+/y, "a label name");
      if (!LABEL_NAME.test(name) || name in labels) throw new Error(`the label ${name} may not be, or is there twice`);
      this.expect('="');
      labels[name] = unescaped(this.match(/(?:[^"\\]|\\.)*/y, "a label value"), '\\n"');
      this.expect('"');
    }
    this.expect("}");
    return labels;
  }
}

function numberOf(text: string): number {
  if (!NUMBER.test(text)) throw new Error(`"${text}" is no number`);
  if (/Inf$/.test(text)) return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}

/** @param legal characters that may stand behind a backslash; a quote that is not escaped is refused where it has to be */
function unescaped(text: string, legal: string): string {
  if (legal.includes('"') && /(?<!\\)(?:\\\\)*"/.test(text)) throw new Error("a quote that is not escaped");
  return text.replace(/\\(.?)/g, (_, character: string) => {
    if (character === "" || !legal.includes(character)) throw new Error(`\\${character} is no escape`);
    return character === "n" ? "\n" : character;
  });
}
