// The loop around step.ts: documents, stored states and facts in; states stored, then weights committed as a revision,
// then people told. Everything it does can be done again after a crash: the state is stored first, and a document whose
// status differs from what its state says is corrected whenever that is noticed.
import { qualifiedName } from "../../rules/diagnostic.ts";
import type { Document } from "../../rules/document.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import { type Clock, every, type Timer } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { RolloutEventRecord, RolloutStore } from "../store/contract.ts";
import type { Rulebook } from "../store/rulebook.ts";
import type { TrafficLedger } from "../telemetry/traffic-ledger.ts";
import { type Command, CommandRefusedError, obey } from "./command.ts";
import type { Surroundings } from "./facts.ts";
import { hasExternalChecks, notify, type Outside, runChecks } from "./outside.ts";
import { hasEnded, type RolloutState, type Transition } from "./phase.ts";
import { planStep, statusFor, stepText } from "./plan.ts";
import { type ExternalResult, event, type Facts, settleCommand, startRollout, step } from "./step.ts";
import { TrafficIntake, type Versions } from "./traffic-intake.ts";

const TICK_MS = 1_000;
const AUTHOR = "weft rollouts";

export interface ControllerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly rulebook: Rulebook;
  readonly store: RolloutStore;
  readonly traffic: TrafficLedger;
  readonly surroundings: Surroundings;
  readonly outside: Outside;
}

/** A release as it is now. */
export interface Release {
  /** `namespace/name` of the document. */
  readonly key: string;
  readonly document: Document<RolloutSpec>;
  readonly state: RolloutState;
  readonly intake: TrafficIntake;
  readonly lastEvent: RolloutEventRecord | undefined;
  /** Newest revision that the release made; 0 when that was before a restart. */
  readonly revision: number;
}

/** What is known of a release besides its document; only `state` is stored. */
interface Running {
  state: RolloutState;
  readonly intake: TrafficIntake;
  lastEvent: RolloutEventRecord | undefined;
  revision: number;
  external: readonly ExternalResult[];
  isAsking: boolean;
}

export class NoSuchRolloutError extends Error {
  override readonly name = "NoSuchRolloutError";
}

export class RolloutController {
  readonly #options: ControllerOptions;
  readonly #running = new Map<string, Running>();
  readonly #listeners = new Set<(key: string) => void>();
  #queue: Promise<unknown> = Promise.resolve();
  #ticker: Timer | undefined;
  #unfollow: readonly (() => void)[] = [];
  #isPrompted = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  /** Takes up every stored release where it was, and goes on from there. */
  async start(): Promise<void> {
    const { store, clock, rulebook, traffic, surroundings } = this.#options;
    for (const { key, body } of await store.read()) {
      const state = JSON.parse(body) as RolloutState;
      const [lastEvent] = await store.events(key, 1);
      this.#running.set(key, this.#run(state, namespaceOf(key), lastEvent));
    }
    this.#unfollow = [
      rulebook.onCommit(({ changes }) => changes.some(({ key }) => key.kind === "Rollout") && this.#prompt()),
      traffic.onDelta((delta) => {
        for (const { intake } of this.#running.values()) intake.add(delta);
      }),
      surroundings.onEndpointsChange(() => this.#prompt()),
    ];
    this.#ticker = every(clock, TICK_MS, () => void this.sync());
    await this.sync();
  }

  async stop(): Promise<void> {
    this.#ticker?.cancel();
    for (const unfollow of this.#unfollow) unfollow();
    await this.#queue;
  }

  /** Every release, those that have ended too. */
  releases(): Release[] {
    return this.#documents().flatMap((document) => this.#release(document) ?? []);
  }

  /** @throws NoSuchRolloutError */
  release(key: string): Release {
    const document = this.#documents().find((candidate) => keyOf(candidate) === key);
    const release = document === undefined ? undefined : this.#release(document);
    if (release === undefined) throw new NoSuchRolloutError(`there is no Rollout ${key}`);
    return release;
  }

  /** Calls back with the key of each release that changed, after the change is stored. */
  onChange(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Does what a person says. Rejects with CommandRefusedError or NoSuchRolloutError. */
  command(key: string, command: Command, author: string): Promise<Release> {
    return this.#exclusively(async () => {
      const { document, state } = this.release(key);
      const nowMs = this.#options.clock.wall();
      const told = obey(document.spec, state, command, nowMs, author);
      const facts = this.#facts(document, this.#running.get(key));
      await this.#settle(document, settleCommand(document.spec, told, facts, nowMs));
      return this.release(key);
    });
  }

  /** Starts a release over that has ended. Rejects with CommandRefusedError while it is under way. */
  restart(key: string, author: string): Promise<Release> {
    return this.#exclusively(async () => {
      const { document, state } = this.release(key);
      if (!hasEnded(state)) throw new CommandRefusedError(`the release of ${state.canary} is under way already`);
      const facts = this.#facts(document, this.#running.get(key));
      await this.#settle(document, startRollout(document.spec, facts, this.#options.clock.wall(), author));
      return this.release(key);
    });
  }

  /** Looks at everything once. */
  sync(): Promise<void> {
    return this.#exclusively(async () => {
      const documents = this.#documents();
      for (const document of documents) {
        try {
          await this.#advance(document);
        } catch (error) {
          this.#options.log.error({ err: error, rollout: keyOf(document) }, "a release could not be moved on");
        }
      }
      const kept = new Set(documents.map(keyOf));
      for (const key of this.#running.keys()) if (!kept.has(key)) await this.#forget(key);
    });
  }

  /** Soon, and once for a burst of reasons. */
  #prompt(): void {
    if (this.#isPrompted) return;
    this.#isPrompted = true;
    this.#options.clock.after(0, () => {
      this.#isPrompted = false;
      void this.sync();
    });
  }

  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  async #advance(document: Document<RolloutSpec>): Promise<void> {
    const key = keyOf(document);
    const { clock } = this.#options;
    const running = this.#running.get(key);
    const nowMs = clock.wall();
    const facts = this.#facts(document, running);
    if (running === undefined || !isAbout(running.state, document.spec)) {
      await this.#settle(document, startRollout(document.spec, facts, nowMs, ""));
      return;
    }
    const analysedBefore = running.state.lastAnalysis?.atMs;
    await this.#settle(document, step(document.spec, running.state, facts, nowMs));
    if (running.state.lastAnalysis?.atMs !== analysedBefore) this.#askOutside(document, running);
  }

  /** Stores a transition, then makes it true, then tells of it. */
  async #settle(document: Document<RolloutSpec>, { state, events }: Transition): Promise<void> {
    const { store, clock } = this.#options;
    const key = keyOf(document);
    const before = this.#running.get(key);
    const isSame = before !== undefined && JSON.stringify(before.state) === JSON.stringify(state);
    if (!isSame) {
      const atMs = clock.wall();
      const written = await store.write(
        key,
        JSON.stringify(state),
        events.map((told) => ({ key, atMs, ...told })),
      );
      const running = before ?? this.#run(state, document.metadata.namespace, undefined);
      if (hasOtherTraffic(before?.state, state)) running.intake.restart(versionsOf(document), clock.now());
      running.state = state;
      running.lastEvent = written.at(-1) ?? running.lastEvent;
      this.#running.set(key, running);
      this.#tell(document, written);
    }
    await this.#commitStatus(document, state);
    if (!isSame) for (const listener of this.#listeners) listener(key);
  }

  /** The weights of the state become a revision, unless they are in force already. */
  async #commitStatus(document: Document<RolloutSpec>, state: RolloutState): Promise<void> {
    const { rulebook } = this.#options;
    const { namespace, name } = document.metadata;
    await rulebook.exclusively(async () => {
      const key = { kind: "Rollout", namespace, name };
      const current = rulebook.get(key)?.document as Document<RolloutSpec> | undefined;
      if (current === undefined || !isAbout(state, current.spec)) return;
      const change = rulebook.planStatus(key, statusFor(current.spec, state));
      if (change === undefined || change.operation === "unchanged") return;
      const details = { author: AUTHOR, message: messageFor(current.spec, state), cause: "rollout" as const };
      const revision = await rulebook.commit([change], details);
      const running = this.#running.get(keyOf(document));
      if (running !== undefined) running.revision = revision;
    });
  }

  async #forget(key: string): Promise<void> {
    const running = this.#running.get(key);
    if (running === undefined) return;
    const deleted = event("deleted", `the Rollout is gone; ${running.state.service} goes by its own rules again`);
    const [written] = await this.#options.store.write(key, undefined, [
      { key, atMs: this.#options.clock.wall(), ...deleted },
    ]);
    this.#running.delete(key);
    if (written !== undefined) this.#log(written);
    for (const listener of this.#listeners) listener(key);
  }

  #tell(document: Document<RolloutSpec>, events: readonly RolloutEventRecord[]): void {
    for (const told of events) {
      this.#log(told);
      for (const { url } of document.spec.notify ?? []) void notify(this.#options.outside, url, told);
    }
  }

  #log({ key, type, message, author }: RolloutEventRecord): void {
    const level = type === "rolled-back" || type === "analysis-failed" ? "warn" : "info";
    this.#options.log[level]({ rollout: key, event: type, ...(author === "" ? {} : { author }) }, message);
  }

  /** Checks by others run while the next interval goes on; their answers count at its end. */
  #askOutside({ metadata, spec }: Document<RolloutSpec>, running: Running): void {
    const { analysis } = spec;
    if (!hasExternalChecks(analysis) || running.isAsking || hasEnded(running.state)) return;
    running.isAsking = true;
    const { service, stable, canary, step: index, weight } = running.state;
    const rollout = qualifiedName(metadata.namespace, metadata.name);
    const context = { rollout, service, stable, canary, step: index + 1, weight };
    void runChecks(this.#options.outside, analysis, context).then((results) => {
      running.external = results;
      running.isAsking = false;
    });
  }

  #facts(document: Document<RolloutSpec>, running: Running | undefined): Facts {
    const { surroundings } = this.#options;
    const { canary, stable } = versionsOf(document);
    const { mirror } = planStep(document.spec, running?.state.step ?? 0);
    const unknown = { outcome: "unknown", detail: "not asked yet" } as const;
    const named = [...(document.spec.analysis?.prometheus ?? []), ...(document.spec.analysis?.webhooks ?? [])];
    return {
      canaryEndpoints: surroundings.readyEndpoints(canary),
      stableEndpoints: surroundings.readyEndpoints(stable),
      sides: running?.intake.take(mirror === undefined ? "requests" : "copies") ?? NOTHING,
      external: named.map(
        ({ name }) => running?.external.find((result) => result.name === name) ?? { name, ...unknown },
      ),
    };
  }

  #documents(): Document<RolloutSpec>[] {
    return Array.from(this.#options.rulebook.documents.values())
      .filter(({ key }) => key.kind === "Rollout")
      .map(({ document }) => document as Document<RolloutSpec>);
  }

  #release(document: Document<RolloutSpec>): Release | undefined {
    const key = keyOf(document);
    const running = this.#running.get(key);
    if (running === undefined) return undefined;
    const { state, intake, lastEvent, revision } = running;
    return { key, document, state, intake, lastEvent, revision };
  }

  #run(state: RolloutState, namespace: string, lastEvent: RolloutEventRecord | undefined): Running {
    const versions = {
      service: qualifiedName(namespace, state.service),
      stable: qualifiedName(namespace, state.stable),
      canary: qualifiedName(namespace, state.canary),
    };
    const intake = new TrafficIntake(versions, this.#options.clock.now());
    return { state, intake, lastEvent, revision: 0, external: [], isAsking: false };
  }
}

const NO_SIDE = { requests: 0, failures: 0, latency: [] };
const NOTHING = { canary: NO_SIDE, stable: NO_SIDE };

function keyOf({ metadata }: Document): string {
  return qualifiedName(metadata.namespace, metadata.name);
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

export function versionsOf({ metadata, spec }: Document<RolloutSpec>): Versions {
  const qualified = (name: string) => qualifiedName(metadata.namespace, name);
  return { service: qualified(spec.service), stable: qualified(spec.stable), canary: qualified(spec.canary) };
}

/** A release of other versions is another release. */
function isAbout(state: RolloutState, { service, stable, canary }: RolloutSpec): boolean {
  return state.service === service && state.stable === stable && state.canary === canary;
}

function hasOtherTraffic(before: RolloutState | undefined, after: RolloutState): boolean {
  if (before === undefined) return true;
  return before.weight !== after.weight || before.step !== after.step || before.canary !== after.canary;
}

function messageFor(spec: RolloutSpec, { phase, step: index, weight, canary }: RolloutState): string {
  if (phase.name === "promoted") return `${canary} is promoted`;
  if (phase.name === "rolled-back") return `${canary} is rolled back: ${phase.reason}`;
  const own = spec.steps[index];
  const what = own === undefined ? "" : ` (${stepText(own)})`;
  return `${canary} at ${weight} %, step ${index + 1} of ${spec.steps.length}${what}, ${phase.name}`;
}
