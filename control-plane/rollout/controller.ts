// The loop around step.ts: documents, stored states and facts in; states stored, then weights committed as a revision,
// then people told. Everything it does can be done again after a crash: the state is stored first, and a document whose
// status differs from what its state says is corrected whenever that is noticed. Only what gives the canary no more than it
// has is done when the store cannot be written, and stored when it can.
import { qualifiedName } from "../../rules/diagnostic.ts";
import type { Document } from "../../rules/document.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import { type Clock, every, type Timer } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { RolloutEventRecord, RolloutStore } from "../store/contract.ts";
import type { Rulebook } from "../store/rulebook.ts";
import type { TrafficDelta, TrafficLedger } from "../telemetry/traffic-ledger.ts";
import { CommandRefusedError, obey, type Word } from "./command.ts";
import { DocumentChanges } from "./document-changes.ts";
import type { Surroundings } from "./facts.ts";
import type { HttpCall } from "./http-call.ts";
import { Notices } from "./notices.ts";
import { hasExternalChecks, runChecks } from "./outside.ts";
import { hasEnded, type RolloutState, type Transition } from "./phase.ts";
import { planStep } from "./plan.ts";
import { hasOtherTraffic, isAbout, keyOf, namespaceOf, versionsOf, webhooksOf } from "./release-document.ts";
import { commitStatus, type EventDraft, writeState } from "./settle.ts";
import { type ExternalResult, event, type Facts, settleCommand, startRollout, step } from "./step.ts";
import { TrafficIntake } from "./traffic-intake.ts";

/** Everything is looked at this often even if nobody reports. */
const TICK_MS = 1_000;
/** After a report, at once, but no more often than this: many callers must not mean many writes. */
const REPORT_SPACING_MS = 500;
/** Events of one release that wait for a store that can be written. */
const DUE_MAX = 100;

export interface ControllerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly rulebook: Rulebook;
  readonly store: RolloutStore;
  readonly traffic: TrafficLedger;
  readonly surroundings: Surroundings;
  readonly call: HttpCall;
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
  /** Why what is acted on could not be stored; "": it is stored. */
  readonly notStored: string;
}

/** What is known of a release besides its document; only `state` is stored. */
interface Running {
  state: RolloutState;
  /** What others are told: the state whose weights are committed. */
  shown: RolloutState;
  readonly intake: TrafficIntake;
  lastEvent: RolloutEventRecord | undefined;
  revision: number;
  notStored: string;
  /** What happened and is to be stored, too; empty while all is stored. */
  due: readonly EventDraft[];
  /** Of the document when it was last seen: they are told of its deletion, too. */
  webhooks: readonly string[];
  external: External;
}

/** Checks by others: asked when an analysis is due, which waits for their answers. */
type External =
  | { readonly name: "idle" }
  | { readonly name: "asking" }
  | { readonly name: "answered"; readonly results: readonly ExternalResult[] };

export class NoSuchRolloutError extends Error {
  override readonly name = "NoSuchRolloutError";
}

export class RolloutController {
  readonly #options: ControllerOptions;
  readonly #running = new Map<string, Running>();
  readonly #changes = new DocumentChanges();
  readonly #listeners = new Set<(key: string) => void>();
  readonly #notices: Notices;
  #queue: Promise<unknown> = Promise.resolve();
  #ticker: Timer | undefined;
  #unfollow: readonly (() => void)[] = [];
  #isPrompted = false;
  #lastSyncMs = Number.NEGATIVE_INFINITY;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#notices = new Notices(options);
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
      rulebook.onCommit((committed) => {
        if (this.#changes.note(committed)) this.#prompt();
      }),
      traffic.onDelta((delta) => this.#take(delta)),
      surroundings.onEndpointsChange(() => this.#prompt()),
    ];
    this.#notices.send(await store.notices());
    this.#ticker = every(clock, TICK_MS, () => void this.sync());
    await this.sync();
  }

  async stop(): Promise<void> {
    this.#ticker?.cancel();
    for (const unfollow of this.#unfollow) unfollow();
    this.#notices.stop();
    await this.#queue;
  }

  /** Every release, those that have ended too. */
  releases(): Release[] {
    return this.#documents().flatMap((document) => this.#release(document) ?? []);
  }

  /** @throws NoSuchRolloutError */
  release(key: string): Release {
    const release = this.#release(this.#document(key));
    if (release === undefined) throw new NoSuchRolloutError(`the release of Rollout ${key} has not begun yet`);
    return release;
  }

  /** Calls back with the key of each release that changed, after the change is stored. */
  onChange(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Does what a person says. Rejects with CommandRefusedError or NoSuchRolloutError. */
  command(key: string, word: Word): Promise<Release> {
    return this.#exclusively(async () => {
      // What is known by now counts first, the word comes after it: also where that could not be stored.
      await this.#tryAdvance(this.#document(key));
      const { document, state } = this.release(key);
      const nowMs = this.#options.clock.wall();
      const told = obey(document.spec, state, word, nowMs);
      const facts = this.#endpoints(document);
      await this.#settle(document, settleCommand(document.spec, told, facts, nowMs));
      return this.release(key);
    });
  }

  /** Starts a release over that has ended. Rejects with CommandRefusedError while it is under way. */
  restart(key: string, author: string): Promise<Release> {
    return this.#exclusively(async () => {
      const { document, state } = this.release(key);
      if (!hasEnded(state)) throw new CommandRefusedError(`the release of ${state.canary} is under way already`);
      const facts = this.#endpoints(document);
      await this.#settle(document, startRollout(document.spec, facts, this.#options.clock.wall(), author));
      return this.release(key);
    });
  }

  /** Looks at everything once. */
  sync(): Promise<void> {
    return this.#exclusively(async () => {
      this.#lastSyncMs = this.#options.clock.now();
      const documents = this.#documents();
      for (const document of documents) await this.#tryAdvance(document);
      const kept = new Set(documents.map(keyOf));
      for (const key of this.#running.keys()) if (!kept.has(key)) await this.#attempt(key, this.#forget(key));
    });
  }

  #take(delta: TrafficDelta): void {
    let isNews = false;
    for (const { intake, state } of this.#running.values()) if (intake.add(delta) && !hasEnded(state)) isNews = true;
    if (isNews) this.#prompt(Math.max(0, this.#lastSyncMs + REPORT_SPACING_MS - this.#options.clock.now()));
  }

  /** Soon, and once for a burst of reasons. */
  #prompt(delayMs = 0): void {
    if (this.#isPrompted) return;
    this.#isPrompted = true;
    this.#options.clock.after(delayMs, () => {
      this.#isPrompted = false;
      void this.sync();
    });
  }

  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  #tryAdvance(document: Document<RolloutSpec>): Promise<void> {
    return this.#attempt(keyOf(document), this.#advance(document));
  }

  /** What fails is tried again when everything is looked at the next time. */
  async #attempt(key: string, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#options.log.error({ err: error, rollout: key }, "a release could not be moved on");
    }
  }

  async #advance(document: Document<RolloutSpec>): Promise<void> {
    const key = keyOf(document);
    const { clock } = this.#options;
    if (this.#changes.isDeleted(key)) await this.#forget(key);
    const writer = this.#changes.takeWriter(key);
    const running = this.#running.get(key);
    const nowMs = clock.wall();
    if (running === undefined || !isAbout(running.state, document.spec)) {
      await this.#settle(document, startRollout(document.spec, this.#endpoints(document), nowMs, writer));
      return;
    }
    running.webhooks = webhooksOf(document);
    const before = running.state;
    const facts = this.#facts(document, running, nowMs);
    try {
      await this.#settle(document, step(document.spec, before, facts, nowMs, writer));
    } catch (error) {
      // The state of before goes on, and what was learnt is not in it.
      if (running.state === before) running.intake.giveBack(facts.sides, takenOf(document, before));
      throw error;
    }
    const { state } = running;
    const isOfNoUse = state.isAlone || state.lastAnalysis !== before.lastAnalysis || state.step !== before.step;
    if (isOfNoUse && running.external.name === "answered") running.external = { name: "idle" };
  }

  /** Stores a transition, then makes it true, then tells of it. */
  async #settle(document: Document<RolloutSpec>, { state, events }: Transition): Promise<void> {
    const { clock, log, rulebook, store } = this.#options;
    const key = keyOf(document);
    const before = this.#running.get(key);
    const shown = before?.shown;
    const isSame = before !== undefined && JSON.stringify(before.state) === JSON.stringify(state);
    if (!isSame || before.notStored !== "") {
      const news = events.map((told) => ({ key, atMs: clock.wall(), ...told }));
      const due = [...(before?.due ?? []), ...news].slice(-DUE_MAX);
      const change = { key, body: JSON.stringify(state), events: due, notify: webhooksOf(document) };
      const { written, problem } = await writeState(store, change, before?.state, state);
      if (problem !== "" && before?.notStored === "")
        log.error({ problem, rollout: key }, "a release is not stored: a restart would forget what it does now");
      const running = before ?? this.#run(state, document.metadata.namespace, undefined);
      if (hasOtherTraffic(before?.state, state)) running.intake.restart(versionsOf(document), clock.now());
      running.state = state;
      running.notStored = problem;
      running.due = problem === "" ? [] : due;
      running.lastEvent = written.at(-1) ?? lastOf(news) ?? running.lastEvent;
      this.#running.set(key, running);
      running.webhooks = webhooksOf(document);
      this.#tell(running.webhooks, written, news);
    }
    const { revision, problem } = await commitStatus(rulebook, document, shown, state);
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.shown = state;
      running.revision = revision ?? running.revision;
      if (problem !== "") running.notStored = problem;
    }
    if (!isSame) for (const listener of this.#listeners) listener(key);
  }

  async #forget(key: string): Promise<void> {
    const running = this.#running.get(key);
    if (running === undefined) {
      this.#changes.forgetDeleter(key);
      return;
    }
    const author = this.#changes.deleterOf(key);
    const message = `the Rollout is gone; ${running.state.service} goes by its own rules again`;
    const deleted = event("deleted", message, author);
    const news = [{ key, atMs: this.#options.clock.wall(), ...deleted }];
    const change = { key, body: undefined, events: [...running.due, ...news], notify: running.webhooks };
    const written = await this.#options.store.write(change);
    this.#changes.forgetDeleter(key);
    this.#running.delete(key);
    this.#tell(running.webhooks, written, news);
    for (const listener of this.#listeners) listener(key);
  }

  /** @param news what is not in the log yet @param written what the store has by now, from where webhooks are told */
  #tell(webhooks: readonly string[], written: readonly RolloutEventRecord[], news: readonly EventDraft[]): void {
    for (const told of news) this.#log(told);
    this.#notices.send(written.flatMap((told) => webhooks.map((url) => ({ url, event: told }))));
  }

  #log({ key, type, message, author }: EventDraft): void {
    const level = type === "rolled-back" || type === "analysis-failed" ? "warn" : "info";
    this.#options.log[level]({ rollout: key, event: type, ...(author === "" ? {} : { author }) }, message);
  }

  /** What others say, when an analysis is due: asked now, unless they have been. */
  #external({ metadata, spec }: Document<RolloutSpec>, running: Running, nowMs: number): Facts["external"] {
    const { analysis } = spec;
    const { external, state } = running;
    if (!hasExternalChecks(analysis) || hasEnded(state) || state.isAlone) return [];
    if (nowMs < state.nextAnalysisAtMs) return [];
    if (external.name === "answered") return external.results;
    if (external.name === "asking") return "pending";
    const { service, stable, canary, step: index, weight } = state;
    const rollout = qualifiedName(metadata.namespace, metadata.name);
    const context = { rollout, service, stable, canary, step: index + 1, weight };
    running.external = { name: "asking" };
    void runChecks(this.#options.call, analysis, context).then((results) => {
      // Answers about another step than the one that is going on are of no use.
      const isAbout = running.state.step === index && running.state.canary === canary;
      running.external = isAbout ? { name: "answered", results } : { name: "idle" };
      this.#prompt();
    });
    return "pending";
  }

  #facts(document: Document<RolloutSpec>, running: Running, nowMs: number): Facts {
    return {
      ...this.#endpoints(document),
      sides: running.intake.take(takenOf(document, running.state)),
      external: this.#external(document, running, nowMs),
    };
  }

  /** Facts without traffic: for what is no judgement. */
  #endpoints(document: Document<RolloutSpec>): Facts {
    const { surroundings } = this.#options;
    const { canary, stable } = versionsOf(document);
    return {
      canaryEndpoints: surroundings.readyEndpoints(canary),
      stableEndpoints: surroundings.readyEndpoints(stable),
      sides: NOTHING,
      external: [],
    };
  }

  #documents(): Document<RolloutSpec>[] {
    return Array.from(this.#options.rulebook.documents.values())
      .filter(({ key }) => key.kind === "Rollout")
      .map(({ document }) => document as Document<RolloutSpec>);
  }

  #document(key: string): Document<RolloutSpec> {
    const document = this.#documents().find((candidate) => keyOf(candidate) === key);
    if (document === undefined) throw new NoSuchRolloutError(`there is no Rollout ${key}`);
    return document;
  }

  #release(document: Document<RolloutSpec>): Release | undefined {
    const key = keyOf(document);
    const running = this.#running.get(key);
    if (running === undefined || this.#changes.isDeleted(key)) return undefined;
    const { shown: state, intake, lastEvent, revision, notStored } = running;
    return { key, document, state, intake, lastEvent, revision, notStored };
  }

  #run(state: RolloutState, namespace: string, lastEvent: RolloutEventRecord | undefined): Running {
    const versions = {
      service: qualifiedName(namespace, state.service),
      stable: qualifiedName(namespace, state.stable),
      canary: qualifiedName(namespace, state.canary),
    };
    const intake = new TrafficIntake(versions, this.#options.clock.now());
    const stored = { notStored: "", due: [] };
    return { state, shown: state, intake, lastEvent, revision: 0, ...stored, external: { name: "idle" }, webhooks: [] };
  }
}

const NO_SIDE = { requests: 0, failures: 0, latency: [] };
const NOTHING = { canary: NO_SIDE, stable: NO_SIDE };

/** By what a canary is judged that answers nobody yet, and any other. */
function takenOf({ spec }: Document<RolloutSpec>, { step: index }: RolloutState): "requests" | "copies" {
  return planStep(spec, index).mirror === undefined ? "requests" : "copies";
}

function lastOf(events: readonly EventDraft[]): RolloutEventRecord | undefined {
  const last = events.at(-1);
  return last && { ...last, sequence: 0 };
}
