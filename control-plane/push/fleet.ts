// Every sidecar that is or was lately connected: what it should hold, what is on its way, what it refused. Turns
// commits and registry changes into deltas. Rule changes wait for a quiet moment, endpoint changes do not; each
// sidecar gets one delta at a time (sidecar-queue.ts) of resources compiled once (catalog.ts).
import type { Delta, Workload } from "../../proto/gen/weft/v1/discovery.ts";
import type { Document } from "../../rules/document.ts";
import { servicesOf } from "../../rules/endpoints.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import * as limits from "../limits.ts";
import type { Histogram } from "../metrics.ts";
import type { Registry, RegistryChange } from "../registry/registry.ts";
import type { Committed, Rulebook } from "../store/rulebook.ts";
import { Catalog, type Population } from "./catalog.ts";
import { Debounce } from "./debounce.ts";
import { type QueuedDelta, type Refusal, SidecarQueue } from "./sidecar-queue.ts";

/** Unused compiled resources are looked for this long after somebody left. */
const SWEEP_DELAY_MS = 30_000;

export interface SidecarIntroduction {
  readonly workload: Workload;
  readonly programVersion: string;
  /** Remote address, for people. */
  readonly peer: string;
  readonly subscriptions: readonly string[];
  readonly held: ReadonlyMap<string, string>;
  readonly send: (delta: Delta) => void;
}

type Trigger = "rules" | "endpoints";

/** One sidecar's place in the fleet. Kept after its stream broke, until its lease ends. */
export interface Sidecar {
  readonly introduction: SidecarIntroduction;
  subscriptions: ReadonlySet<string>;
  readonly queue: SidecarQueue;
  /** Milliseconds since the epoch. */
  readonly connectedAtMs: number;
  isConnected: boolean;
  /** Resources that it brought along, of services that this process has not heard of yet; emptied at the end of grace. */
  readonly claimed: Map<string, string>;
  /** What it should hold; made anew when something in it changed. */
  target: Map<string, string>;
  isTargetStale: boolean;
  /** The oldest change that is not on its way yet, and that of the delta in flight. Monotonic. */
  waiting: { readonly trigger: Trigger; readonly sinceMs: number } | undefined;
  pushing: { readonly trigger: Trigger; readonly sinceMs: number } | undefined;
  /** Commit to acknowledgement of the last acknowledged change; 0 before any. */
  lastPushMs: number;
}

export interface FleetOptions {
  readonly clock: Clock;
  readonly rulebook: Rulebook;
  readonly registry: Registry;
  /** Commit (or registry change) to acknowledgement. */
  readonly pushDuration: Histogram;
  /**
   * Writes the registry down; called before anybody is told of its changes. Otherwise a control plane that is killed
   * in between would, on its return, take back services that others are in the middle of calling.
   */
  readonly remember: () => void;
  /**
   * For so long after the start, what sidecars hold of unknown services is left to them: those services may just not
   * have come back yet, to a control plane that lost its data.
   */
  readonly graceMs: number;
}

export class Fleet {
  readonly #clock: Clock;
  readonly #rulebook: Rulebook;
  readonly #registry: Registry;
  readonly #pushDuration: Histogram;
  readonly #remember: () => void;
  #grace: Timer | undefined;
  readonly #catalog: Catalog;
  readonly #sidecars = new Map<string, Sidecar>();
  readonly #debounce: Debounce;
  #commits: Committed[] = [];
  #workloads: { readonly changed: Workload[]; readonly sinceMs: number; readonly timer: Timer } | undefined;
  /** Revision -> ids of the workloads it affects, oldest revision first. */
  readonly #affected = new Map<number, ReadonlySet<string>>();
  #sweep: Timer | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #unfollow: (() => void)[];

  constructor({ clock, rulebook, registry, pushDuration, remember, graceMs }: FleetOptions) {
    this.#clock = clock;
    this.#rulebook = rulebook;
    this.#registry = registry;
    this.#pushDuration = pushDuration;
    this.#remember = remember;
    this.#grace = clock.after(graceMs, () => this.#endGrace());
    this.#catalog = new Catalog(rulebook.revision, rulebook.documents, this.#population());
    const { DEBOUNCE_QUIET_MS: quietMs, DEBOUNCE_MAX_MS: maxMs } = limits;
    this.#debounce = new Debounce({ clock, quietMs, maxMs, act: () => this.#pushRules() });
    this.#unfollow = [
      rulebook.onCommit((committed) => this.#committed(committed)),
      registry.onChange((change) => this.#registryChanged(change)),
    ];
  }

  /** Revision that is compiled and on its way; a commit gets here within DEBOUNCE_MAX_MS. */
  get pushedRevision(): number {
    return this.#catalog.revision;
  }

  get connectedCount(): number {
    let count = 0;
    for (const { isConnected } of this.#sidecars.values()) count += Number(isConnected);
    return count;
  }

  get compiledCount(): number {
    return this.#catalog.size;
  }

  sidecar(workloadId: string): Sidecar | undefined {
    return this.#sidecars.get(workloadId);
  }

  sidecars(): Iterable<Sidecar> {
    return this.#sidecars.values();
  }

  /** Which workloads `revision` affects; undefined when that is not remembered (long ago, or before a restart). */
  affectedBy(revision: number): ReadonlySet<string> | undefined {
    return this.#affected.get(revision);
  }

  /** Takes a sidecar in, after the registry did, and sends it what it lacks. */
  connect(introduction: SidecarIntroduction): Sidecar {
    const sidecar: Sidecar = {
      introduction,
      subscriptions: new Set(introduction.subscriptions),
      queue: new SidecarQueue(introduction.held),
      connectedAtMs: this.#clock.wall(),
      isConnected: true,
      claimed: this.#grace === undefined ? new Map() : ofServices(introduction.held),
      target: new Map(),
      isTargetStale: true,
      waiting: undefined,
      pushing: undefined,
      lastPushMs: 0,
    };
    this.#sidecars.set(introduction.workload.id, sidecar);
    this.#catchUp();
    this.#pump(sidecar);
    this.#progressed();
    return sidecar;
  }

  /** Returns false when the sidecar would have more subscriptions than one may; nothing is changed then. */
  subscribe(sidecar: Sidecar, add: readonly string[], remove: readonly string[]): boolean {
    const wanted = new Set([...sidecar.subscriptions, ...add]);
    for (const name of remove) wanted.delete(name);
    if (wanted.size > limits.SUBSCRIPTIONS_MAX) return false;
    sidecar.subscriptions = wanted;
    if (remove.length > 0) this.#sweepLater();
    sidecar.isTargetStale = true;
    this.#catchUp();
    this.#pump(sidecar);
    return true;
  }

  /** Returns false for a nonce that nobody waits for. */
  acknowledge(sidecar: Sidecar, nonce: number): boolean {
    if (sidecar.queue.acknowledge(nonce, sidecar.target) === undefined) return false;
    if (sidecar.pushing !== undefined) {
      sidecar.lastPushMs = this.#clock.now() - sidecar.pushing.sinceMs;
      this.#pushDuration.observe(sidecar.lastPushMs / 1000, { trigger: sidecar.pushing.trigger });
    }
    sidecar.pushing = undefined;
    this.#pump(sidecar);
    this.#progressed();
    return true;
  }

  /** Returns the refused delta; undefined for a nonce that nobody waits for. */
  refuse(sidecar: Sidecar, refusal: Refusal): QueuedDelta | undefined {
    const delta = sidecar.queue.refuse(refusal);
    if (delta === undefined) return undefined;
    sidecar.pushing = undefined;
    this.#pump(sidecar);
    this.#progressed();
    return delta;
  }

  /** The stream ended. What the sidecar was is remembered until its lease ends. */
  disconnect(sidecar: Sidecar): void {
    sidecar.isConnected = false;
    this.#sweepLater();
    this.#progressed();
  }

  /** Calls back whenever something about any sidecar's progress may have changed. */
  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    for (const unfollow of this.#unfollow) unfollow();
    this.#debounce.cancel();
    this.#grace?.cancel();
    this.#workloads?.timer.cancel();
    this.#sweep?.cancel();
    this.#listeners.clear();
  }

  #committed(committed: Committed): void {
    this.#commits.push(committed);
    this.#debounce.trigger();
  }

  /** Who asks now gets what is true now: "does not exist" must not be said of what was applied a moment ago. */
  #catchUp(): void {
    if (this.#commits.length > 0) this.#pushRules();
    this.#pushEndpoints();
  }

  #pushRules(): void {
    this.#debounce.cancel();
    const commits = this.#commits;
    this.#commits = [];
    const documents = commits.flatMap(({ changes }) => changes.flatMap((change) => this.#versionsOf(change)));
    const different = this.#catalog.setDocuments(this.#rulebook.revision, this.#rulebook.documents, documents);
    const affected = this.#markChanged(different, "rules", commits[0]?.atMs ?? this.#clock.now());
    const ids = new Set(affected.map(({ introduction }) => introduction.workload.id));
    // Nobody knows yet what a sidecar uses that has not come back since a restart.
    for (const { id } of this.#registry.workloads()) if (!this.#sidecars.has(id)) ids.add(id);
    for (const { revision } of commits) this.#rememberAffected(revision, ids);
    for (const sidecar of this.#sidecars.values()) this.#pump(sidecar);
    this.#progressed();
  }

  #versionsOf({ key, before }: Committed["changes"][number]): Document[] {
    const after = this.#rulebook.get(key);
    return [before, after].flatMap((version) => (version === undefined ? [] : [version.document]));
  }

  #registryChanged(change: RegistryChange): void {
    const changed = [change.before, change.after].filter((workload) => workload !== undefined);
    this.#workloads ??= {
      changed: [],
      sinceMs: this.#clock.now(),
      timer: this.#clock.after(0, () => this.#pushEndpoints()),
    };
    this.#workloads.changed.push(...changed);
  }

  #pushEndpoints(): void {
    if (this.#workloads === undefined) return;
    const { changed, sinceMs, timer } = this.#workloads;
    timer.cancel();
    this.#workloads = undefined;
    this.#remember();
    this.#forgetGone(changed);
    const different = this.#catalog.setWorkloads(this.#population(), changed);
    for (const sidecar of this.#markChanged(different, "endpoints", sinceMs)) this.#pump(sidecar);
    this.#progressed();
  }

  #forgetGone(changed: readonly Workload[]): void {
    for (const { id } of changed) {
      const isGone = this.#registry.get(id) === undefined && this.#sidecars.get(id)?.isConnected === false;
      if (isGone) this.#sidecars.delete(id);
    }
  }

  /** Returns the sidecars that a change of these resources concerns. */
  #markChanged(different: ReadonlySet<string>, trigger: Trigger, sinceMs: number): Sidecar[] {
    const concerned: Sidecar[] = [];
    for (const sidecar of this.#sidecars.values()) {
      if (!hasAny(sidecar.target, different)) continue;
      sidecar.isTargetStale = true;
      if (sidecar.waiting?.trigger !== "rules") sidecar.waiting = { trigger, sinceMs };
      concerned.push(sidecar);
    }
    return concerned;
  }

  #pump(sidecar: Sidecar): void {
    if (!sidecar.isConnected || sidecar.queue.isWaiting) return;
    if (sidecar.isTargetStale) {
      sidecar.target = this.#catalog.targetOf(servicesOf(sidecar.introduction.workload), sidecar.subscriptions);
      this.#leaveClaimed(sidecar);
      sidecar.isTargetStale = false;
    }
    const delta = sidecar.queue.next(sidecar.target, this.#catalog.revision);
    if (delta === undefined) {
      sidecar.waiting = undefined;
      return;
    }
    sidecar.pushing = sidecar.waiting;
    sidecar.waiting = undefined;
    sidecar.introduction.send(this.#wireDelta(delta));
  }

  /** Counts as wanted what the sidecar has of services that nobody here has heard of. */
  #leaveClaimed({ claimed, target }: Sidecar): void {
    for (const [name, version] of claimed) {
      const service = `service:${name.slice(name.indexOf(":") + 1)}`;
      if (this.#catalog.resource(service) === undefined) target.set(name, version);
      else claimed.delete(name);
    }
  }

  #endGrace(): void {
    this.#grace = undefined;
    for (const sidecar of this.#sidecars.values()) {
      if (sidecar.claimed.size === 0) continue;
      sidecar.claimed.clear();
      sidecar.isTargetStale = true;
      this.#pump(sidecar);
    }
  }

  #wireDelta({ nonce, revision, put, removed }: QueuedDelta): Delta {
    const resources = Array.from(put.keys(), (name) => this.#catalog.resource(name));
    return {
      ...{ nonce, revision, removed: [...removed] },
      resources: resources.filter((resource) => resource !== undefined),
    };
  }

  #population(): Population {
    return { live: this.#registry.workloads(), known: this.#registry.knownWorkloads() };
  }

  /** What is done ahead of its revision has the number of the one before, whose sidecars are waited for as they were. */
  #rememberAffected(revision: number, ids: ReadonlySet<string>): void {
    this.#affected.set(revision, new Set([...(this.#affected.get(revision) ?? []), ...ids]));
    const oldest = this.#affected.keys().next().value;
    if (this.#affected.size > limits.TRACKED_REVISIONS_MAX && oldest !== undefined) this.#affected.delete(oldest);
  }

  #sweepLater(): void {
    this.#sweep ??= this.#clock.after(SWEEP_DELAY_MS, () => {
      this.#sweep = undefined;
      const used = new Set<string>();
      for (const { target } of this.#sidecars.values()) for (const name of target.keys()) used.add(name);
      this.#catalog.retain(used);
    });
  }

  #progressed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** What concerns services that the sidecar calls. */
function ofServices(held: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...held].filter(([name]) => name.startsWith("service:") || name.startsWith("endpoints:")));
}

function hasAny(target: ReadonlyMap<string, string>, names: ReadonlySet<string>): boolean {
  for (const name of names) if (target.has(name)) return true;
  return false;
}
