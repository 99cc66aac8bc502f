// Small structural checks that compose: each takes an unknown value and returns it typed, or throws a Mismatch with the
// field path. For data between programs of the mesh (resource-check.ts); documents that people write have a schema
// with positions and suggestions instead.

/** Returns the value as a T, or throws a Mismatch. */
export type Check<T> = (value: unknown) => T;
export type Checked<C> = C extends Check<infer T> ? T : never;

/** What is wrong, and where: the path grows from the inside out as the error passes containers. */
export class Mismatch extends Error {
  path = "";

  within(key: string | number): this {
    const step = typeof key === "number" ? `[${key}]` : key;
    const joint = this.path === "" || this.path.startsWith("[") ? "" : ".";
    this.path = `${step}${joint}${this.path}`;
    return this;
  }
}

/** Longest value that is quoted whole in a message. */
const QUOTED_LENGTH_MAX = 60;

function mismatch(expected: string, value: unknown): Mismatch {
  if (value === undefined) return new Mismatch(`is missing; expected ${expected}`);
  const quoted = JSON.stringify(value) ?? typeof value;
  const shown = quoted.length > QUOTED_LENGTH_MAX ? `${quoted.slice(0, QUOTED_LENGTH_MAX)}...` : quoted;
  return new Mismatch(`is ${shown}; expected ${expected}`);
}

/** Runs a check inside a container, so that its error names the key. */
function at<T>(key: string | number, check: Check<T>, value: unknown): T {
  try {
    return check(value);
  } catch (error) {
    throw error instanceof Mismatch ? error.within(key) : error;
  }
}

/** Text, with a pattern where one is given; `expected` says in words what the pattern means. */
export function text(expected = "text", pattern?: RegExp): Check<string> {
  return (value) => {
    if (typeof value !== "string" || (pattern !== undefined && !pattern.test(value))) throw mismatch(expected, value);
    return value;
  };
}

export function integer(min: number, max = Number.MAX_SAFE_INTEGER): Check<number> {
  return (value) => {
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw mismatch(`an integer from ${min} to ${max}`, value);
    }
    return value as number;
  };
}

/** Any finite number in the range. */
export function quantity(min: number, max: number): Check<number> {
  return (value) => {
    if (typeof value !== "number" || !(value >= min && value <= max)) {
      throw mismatch(`a number from ${min} to ${max}`, value);
    }
    return value;
  };
}

export const flag: Check<boolean> = (value) => {
  if (typeof value !== "boolean") throw mismatch("true or false", value);
  return value;
};

export function word<const Words extends readonly (string | number)[]>(...words: Words): Check<Words[number]> {
  return (value) => {
    if (!words.includes(value as Words[number])) throw mismatch(`one of ${words.join(", ")}`, value);
    return value as Words[number];
  };
}

export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value) => (value === undefined ? undefined : check(value));
}

export function either<A, B>(first: Check<A>, second: Check<B>, takesFirst: (value: unknown) => boolean): Check<A | B> {
  return (value) => (takesFirst(value) ? first(value) : second(value));
}

export function list<T>(check: Check<T>, lengthMin = 0): Check<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw mismatch("a list", value);
    if (value.length < lengthMin) throw new Mismatch(`has ${value.length} entries; expected at least ${lengthMin}`);
    return value.map((entry, index) => at(index, check, entry));
  };
}

/** An object with any keys. */
export function mapOf<T>(check: Check<T>, key: Check<string> = text()): Check<Readonly<Record<string, T>>> {
  return (value) => {
    const entries = Object.entries(record(value)).map(([name, member]) => {
      at(name, key, name);
      return [name, at(name, check, member)] as const;
    });
    return Object.fromEntries(entries);
  };
}

type Fields = Readonly<Record<string, Check<unknown>>>;
type ObjectOf<F extends Fields> = { readonly [K in keyof F]: Checked<F[K]> };

/** An object with exactly these fields; an unknown one is a mismatch, because it may mean something. */
export function object<const F extends Fields>(fields: F): Check<ObjectOf<F>> {
  const entries = Object.entries(fields);
  return (value) => {
    const source = record(value);
    const result: Record<string, unknown> = {};
    for (const [name, check] of entries) result[name] = at(name, check, source[name]);
    for (const name in source) {
      if (!Object.hasOwn(fields, name)) throw new Mismatch("is not a known field").within(name);
    }
    return result as ObjectOf<F>;
  };
}

/** One of several objects, told apart by their `type`. */
export function tagged<const V extends Readonly<Record<string, Check<unknown>>>>(
  variants: V,
): Check<Checked<V[keyof V]>> {
  const tag = word(...Object.keys(variants));
  return (value) => {
    const type = at("type", tag, record(value)["type"]);
    return (variants[type] as Check<Checked<V[keyof V]>>)(value);
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw mismatch("an object", value);
  return value as Readonly<Record<string, unknown>>;
}
