// A map that forgets what was used least recently once it is full. Entries are linked to each other, so that a hit
// neither allocates nor rehashes. Keys are kept as copies: a piece of a request's head would keep all of it.
import { ownCopy } from "../../runtime/latin1.ts";

interface Entry<Value> {
  readonly key: string;
  readonly value: Value;
  newer: Entry<Value> | undefined;
  older: Entry<Value> | undefined;
}

export class LruMap<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #max: number;
  #newest: Entry<Value> | undefined = undefined;
  #oldest: Entry<Value> | undefined = undefined;

  constructor(max: number) {
    this.#max = Math.max(1, max);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value of `key`, which is now the most recent; built if there is none. */
  take(key: string, build: () => Value): Value {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      if (known !== this.#newest) {
        this.#unlink(known);
        this.#append(known);
      }
      return known.value;
    }
    if (this.#entries.size >= this.#max && this.#oldest !== undefined) {
      this.#entries.delete(this.#oldest.key);
      this.#unlink(this.#oldest);
    }
    const entry: Entry<Value> = { key: ownCopy(key), value: build(), newer: undefined, older: undefined };
    this.#entries.set(entry.key, entry);
    this.#append(entry);
    return entry.value;
  }

  #append(entry: Entry<Value>): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: Entry<Value>): void {
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
  }
}
