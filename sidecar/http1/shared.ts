// What many need for a moment each, and few for longer: all share one, which is in the core's cache then. Not a pool:
// nothing is taken out of it but by somebody who cannot be done within one call.

/** As many as are kept of those that came back. */
const SPARES_MAX = 64;

export class Shared<Item> {
  readonly #make: () => Item;
  readonly #spares: Item[] = [];
  /** For whoever is done with it before anybody else can ask. In whatever state the one before left it. */
  current: Item;

  constructor(make: () => Item) {
    this.#make = make;
    this.current = make();
  }

  /** `current`, which is the caller's alone until it is given back. */
  keep(): Item {
    const kept = this.current;
    this.current = this.#spares.pop() ?? this.#make();
    return kept;
  }

  /** @param item in any state: whoever finds it in `current` begins anew */
  giveBack(item: Item): void {
    if (this.#spares.length < SPARES_MAX) this.#spares.push(item);
  }
}

/** One `Shared` for each key, such as the limits that its items keep to. */
export class SharedBy<Key extends WeakKey, Item> {
  readonly #make: (key: Key) => Item;
  readonly #all = new WeakMap<Key, Shared<Item>>();

  constructor(make: (key: Key) => Item) {
    this.#make = make;
  }

  of(key: Key): Shared<Item> {
    let shared = this.#all.get(key);
    if (shared === undefined) {
      shared = new Shared(() => this.#make(key));
      this.#all.set(key, shared);
    }
    return shared;
  }
}
