// The configuration that this sidecar acts on: the resources it holds, their versions, and the one way in which
// they change: everything of an update is checked and built before anything of it is acted on.
// Knows neither where updates come from (client, cache, stand-alone rules) nor what a snapshot looks like.
import type { Resource } from "../../rules/resource.ts";
import { resourceName } from "../../rules/resource.ts";

/** A resource as it comes over the wire or from the cache file: not looked at yet. */
export interface IncomingResource {
  readonly name: string;
  readonly version: string;
  /** The parsed JSON, or the text that still has to be parsed. */
  readonly body: unknown;
}

export interface ConfigurationUpdate {
  readonly revision: number;
  readonly resources: readonly IncomingResource[];
  readonly removed: readonly string[];
}

export interface HeldResource {
  readonly name: string;
  readonly version: string;
  readonly resource: Resource;
}

/** Why an update was refused; the field path is empty where the resource as a whole is wrong. */
export interface Refusal {
  readonly revision: number;
  readonly resource: string;
  readonly path: string;
  readonly message: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

export type ApplyResult =
  | { readonly outcome: "applied"; readonly changed: boolean }
  | { readonly outcome: "refused"; readonly refusal: Refusal };

/** Where the configuration in use came from. */
export type ConfigurationOrigin = "none" | "cache" | "control-plane" | "rules";

export interface ConfigurationOptions {
  /** Checks one resource's body; throws what has `resource`, `path` and `message` (rules/resource-check.ts). */
  readonly parse: (name: string, body: unknown) => Resource;
  /**
   * Builds the next snapshot from all resources and swaps it in by one assignment; throws, or rejects, to refuse. Over
   * several processes it resolves when each of them has swapped.
   */
  readonly publish: (resources: ReadonlyMap<string, Resource>, revision: number) => void | Promise<void>;
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
}

/** Holds the resources; `apply` is all or nothing and synchronous. */
export class Configuration {
  readonly #options: ConfigurationOptions;
  #held: ReadonlyMap<string, HeldResource> = new Map();
  #revision = 0;
  #origin: ConfigurationOrigin = "none";
  #appliedAtMs = 0;
  #lastRefusal: Refusal | undefined;
  #appliedCount = 0;
  #refusedCount = 0;
  /** Ends when the last update that was asked for is done. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ConfigurationOptions) {
    this.#options = options;
  }

  get held(): ReadonlyMap<string, HeldResource> {
    return this.#held;
  }

  /** Revision acted on; 0 when there is none. */
  get revision(): number {
    return this.#revision;
  }

  get origin(): ConfigurationOrigin {
    return this.#origin;
  }

  /** Milliseconds since the epoch; 0 when nothing was applied. */
  get appliedAtMs(): number {
    return this.#appliedAtMs;
  }

  /** The refusal that the control plane still has to repair; cleared by the next update that is applied. */
  get lastRefusal(): Refusal | undefined {
    return this.#lastRefusal;
  }

  get appliedCount(): number {
    return this.#appliedCount;
  }

  get refusedCount(): number {
    return this.#refusedCount;
  }

  holdsService(service: string): boolean {
    return this.#held.has(`service:${service}`);
  }

  /** Resource name -> version of what is held: what a Hello says, so that only differences come back. */
  versions(limit: number): Record<string, string> {
    const entries = [...this.#held.values()].slice(0, limit);
    return Object.fromEntries(entries.map(({ name, version }) => [name, version]));
  }

  /**
   * Checks and builds all of the update, then acts on it; refused as a whole when any of it is wrong. Updates are taken
   * in the order of the calls, each after the one before is done. Never rejects.
   */
  apply(update: ConfigurationUpdate, origin: ConfigurationOrigin): Promise<ApplyResult> {
    const result = this.#turn.then(() => this.#applyNow(update, origin));
    this.#turn = result;
    return result;
  }

  async #applyNow(update: ConfigurationUpdate, origin: ConfigurationOrigin): Promise<ApplyResult> {
    let reading = "";
    try {
      const next = new Map(this.#held);
      let changed = false;
      for (const name of update.removed) changed = next.delete(name) || changed;
      for (const incoming of update.resources) {
        reading = incoming.name;
        // The same version is the same content: keeping the object lets the snapshot keep what it built from it.
        if (next.get(incoming.name)?.version === incoming.version) continue;
        next.set(incoming.name, this.#read(incoming));
        changed = true;
      }
      reading = "";
      if (changed || update.revision !== this.#revision || this.#origin === "none")
        await this.#publish(next, update.revision);
      this.#accept(next, update.revision, origin);
      return { outcome: "applied", changed };
    } catch (error) {
      return { outcome: "refused", refusal: this.#refuse(update.revision, reading, error) };
    }
  }

  #read({ name, version, body }: IncomingResource): HeldResource {
    const value: unknown = typeof body === "string" ? JSON.parse(body) : body;
    const resource = this.#options.parse(name, value);
    if (resourceName(resource) !== name) throw new Error(`holds ${resourceName(resource)}, not what its name says`);
    return { name, version, resource };
  }

  #publish(next: ReadonlyMap<string, HeldResource>, revision: number): void | Promise<void> {
    const resources = new Map<string, Resource>();
    for (const { name, resource } of next.values()) resources.set(name, resource);
    return this.#options.publish(resources, revision);
  }

  #accept(next: ReadonlyMap<string, HeldResource>, revision: number, origin: ConfigurationOrigin): void {
    this.#held = next;
    this.#revision = revision;
    this.#origin = origin;
    this.#appliedAtMs = this.#options.wall();
    this.#lastRefusal = undefined;
    this.#appliedCount++;
  }

  #refuse(revision: number, reading: string, error: unknown): Refusal {
    const named = error as { resource?: unknown; path?: unknown };
    const refusal: Refusal = {
      revision,
      resource: typeof named.resource === "string" ? named.resource : reading,
      path: typeof named.path === "string" ? named.path : "",
      message: error instanceof Error ? error.message : String(error),
      atMs: this.#options.wall(),
    };
    this.#lastRefusal = refusal;
    this.#refusedCount++;
    return refusal;
  }
}
