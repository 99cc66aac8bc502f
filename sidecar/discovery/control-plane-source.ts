// The usual source: a control plane over one stream, with a cache file for when it is away. Puts client,
// subscriptions and cache together; each is a file of its own.
import type { Clock } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { Random } from "../../runtime/random.ts";
import { type CacheContent, CacheWriter, readCache } from "./cache.ts";
import { DiscoveryClient, type DiscoveryStatus } from "./client.ts";
import type { Configuration } from "./configuration.ts";
import type { DecisionSource } from "./decision-desk.ts";
import type { HealthSource } from "./health-reporter.ts";
import type { Registration, Source, SourceStatus } from "./source.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { TrafficSource } from "./traffic-reporter.ts";

export interface ControlPlaneSourceOptions {
  /** HOST:PORT. */
  readonly address: string;
  /** Undefined: no cache is kept. */
  readonly cacheFile: string | undefined;
  /** `namespace/name` of the service that the sidecar stands beside. */
  readonly service: string;
  readonly incarnation: string;
  readonly programVersion: string;
  readonly configuration: Configuration;
  /** Asked about requests by the control plane. */
  readonly decisions: DecisionSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly traffic?: TrafficSource | undefined;
  readonly health?: HealthSource | undefined;
  /** Configuration was applied, from the cache or from the control plane. */
  readonly onApplied: () => void;
}

export class ControlPlaneSource implements Source {
  readonly resolver: Subscriptions;
  readonly #options: ControlPlaneSourceOptions;
  readonly #cache: CacheWriter | undefined;
  #client: DiscoveryClient | undefined;
  #announced: { readonly isReady: boolean; readonly reason: string } = { isReady: false, reason: "" };

  constructor(options: ControlPlaneSourceOptions) {
    const { cacheFile, configuration, clock, log } = options;
    this.#options = options;
    this.resolver = new Subscriptions({
      clock,
      holdsService: (service) => configuration.holdsService(service),
      isConnected: () => this.#client?.isConnected ?? false,
      send: (add, remove) => this.#client?.subscribe(add, remove),
    });
    if (cacheFile !== undefined) {
      this.#cache = new CacheWriter({ file: cacheFile, content: () => this.#cacheContent(), clock, log });
    }
  }

  /** Takes over the cache file. One that cannot be used is named in the log and ignored: it stops no start. */
  async load(): Promise<readonly string[]> {
    const { cacheFile: file, service, configuration, log, onApplied } = this.#options;
    if (file === undefined) return [];
    const loaded = await readCache(file, service);
    if (loaded.outcome === "absent") return [];
    if (loaded.outcome === "refused") {
      log.warn({ file, reason: loaded.reason }, "cache file refused; starting without it");
      return [];
    }
    const { revision, resources, subscriptions, savedAtMs } = loaded.content;
    const result = await configuration.apply({ revision, resources, removed: [] }, "cache");
    if (result.outcome === "refused") {
      log.warn({ file, reason: result.refusal.message }, "cache file refused; starting without it");
      return [];
    }
    this.resolver.restore(subscriptions);
    log.info(
      { file, revision, savedAt: new Date(savedAtMs).toISOString() },
      "configuration loaded from the cache file",
    );
    onApplied();
    return [];
  }

  begin(registration: Registration): Promise<void> {
    const { address, incarnation, programVersion, configuration, decisions } = this.#options;
    const { clock, random, log, onApplied } = this.#options;
    this.#client = new DiscoveryClient({
      address,
      workload: registration,
      incarnation,
      programVersion,
      configuration,
      decisions,
      subscriptions: this.resolver,
      clock,
      random,
      log,
      traffic: this.#options.traffic,
      health: this.#options.health,
      onApplied: () => {
        this.#cache?.schedule();
        onApplied();
      },
    });
    this.#client.setReady(this.#announced.isReady, this.#announced.reason);
    this.#client.start();
    return Promise.resolve();
  }

  announce(isReady: boolean, reason: string): boolean {
    this.#announced = { isReady, reason };
    this.#client?.setReady(isReady, reason);
    return this.#client?.isConnected ?? false;
  }

  async stop(reason: string): Promise<void> {
    await Promise.all([this.#client?.stop(reason), this.#cache?.flush()]);
  }

  describe(): string {
    const { configuration, address } = this.#options;
    const { state, lastError } = this.status.discovery ?? { state: "stopped", lastError: "" };
    const link = state === "connected" ? "connected" : `not connected${lastError === "" ? "" : ` (${lastError})`}`;
    const held =
      configuration.origin === "none" ? "" : `revision ${configuration.revision} from ${configuration.origin}; `;
    return `${held}control plane ${address}: ${link}`;
  }

  get status(): SourceStatus {
    const discovery: DiscoveryStatus | undefined = this.#client?.status;
    const cacheSavedAtMs = this.#cache?.savedAtMs ?? 0;
    return { discovery, standAlone: undefined, subscriptions: this.resolver.names(), cacheSavedAtMs };
  }

  #cacheContent(): CacheContent {
    const { service, configuration, clock } = this.#options;
    const resources = [...configuration.held.values()];
    return {
      service,
      revision: configuration.revision,
      savedAtMs: clock.wall(),
      subscriptions: this.resolver.knownNames(),
      resources: resources.map(({ name, version, resource }) => ({ name, version, body: resource })),
    };
  }
}
