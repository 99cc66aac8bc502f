// Option values of one invocation, read with their types. Not the parser (program.ts): what arrives here was
// accepted by it, and is checked once more because the parser's own result is untyped.
import { parseDuration } from "../../rules/durations.ts";
import { usageFailure } from "./failure.ts";

/** Of an unsigned 32-bit field; revisions have 64 bits, but one a second for a century stays below. */
const COUNT_MAX = 4_294_967_295;

export class Flags {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** True when the flag was given, with a value or without. */
  has(name: string): boolean {
    const value = this.#values[name];
    return value !== undefined && value !== false;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  }

  /** Milliseconds of a duration flag; `fallbackMs` when it was not given or has no value. */
  durationMs(name: string, fallbackMs: number): number {
    const text = this.text(name);
    if (text === undefined) return fallbackMs;
    const milliseconds = parseDuration(text);
    if (milliseconds === undefined || milliseconds <= 0) {
      throw usageFailure(`--${name}: "${text}" is no duration; expected one such as 500ms, 30s or 1m30s`);
    }
    return milliseconds;
  }

  /** A whole number from `min` up to what the wire can carry; undefined when it was not given. */
  count(name: string, min: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > COUNT_MAX) {
      throw usageFailure(`--${name}: "${text}" is not valid; expected a whole number from ${min} to ${COUNT_MAX}`);
    }
    return number;
  }
}
