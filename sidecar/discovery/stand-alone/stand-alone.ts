// A sidecar without a control plane: rules from a file or folder, read again when they change. Changes are noticed
// by the file system's events and, since those miss network and overlay mounts, by looking now and then. A change that
// is not valid is reported and the rules before it stay in use.
import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Diagnostic, formatDiagnostic } from "../../../rules/diagnostic.ts";
import type { SourceText } from "../../../rules/load.ts";
import type { Clock, Timer } from "../../../runtime/clock.ts";
import { every } from "../../../runtime/clock.ts";
import type { Log } from "../../../runtime/log.ts";
import type { Resolution, ServiceResolver } from "../../resolver.ts";
import type { Configuration } from "../configuration.ts";
import { compileRules } from "./rule-compiler.ts";
import { findRuleFiles, type RuleFiles, readRuleFiles } from "./rule-files.ts";

/** An editor writes a file in several steps; this much quiet ends them. */
const QUIET_MS = 100;
const LOOK_EVERY_MS = 2_000;
/** A file that is written anew in its place is empty first: it is believed to be when it has been for so long. */
const EMPTY_QUIET_MS = 2_000;
/**
 * The times of files are coarse: one that changed less than this ago may change again without looking changed, so it is
 * read at every look. Clocks of network file systems are off by less, or else it is read more often than it need be.
 */
const SETTLED_MS = 3_000;
const DIAGNOSTICS_LOGGED_MAX = 50;

export interface StandAloneOptions {
  readonly path: string;
  /** `namespace/name` of the service that the sidecar stands beside. */
  readonly service: string;
  /** Its version; default: none. */
  readonly version?: string;
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly log: Log;
  /** After the rules in use changed. */
  readonly onApplied: () => void;
}

/** What the last look at the files came to: problems are lines for people, empty when the rules in use are the files'. */
export interface StandAloneStatus {
  readonly path: string;
  readonly revision: number;
  readonly problems: readonly string[];
  readonly reloads: number;
  readonly failedReloads: number;
}

/** Loads the rules and keeps them loaded. Knows every service there is, so it resolves at once. */
export class StandAloneRules implements ServiceResolver {
  readonly #options: StandAloneOptions;
  /** Of the files that were read last; undefined when they may change without looking changed. */
  #state: string | undefined;
  #digest = "";
  #revision = 0;
  #problems: readonly string[] = [];
  #reloads = 0;
  #failedReloads = 0;
  #quiet: Timer | undefined;
  #look: Timer | undefined;
  #watcher: FSWatcher | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: StandAloneOptions) {
    this.#options = options;
  }

  get status(): StandAloneStatus {
    return {
      path: this.#options.path,
      revision: this.#revision,
      problems: this.#problems,
      reloads: this.#reloads,
      failedReloads: this.#failedReloads,
    };
  }

  /** Reads the rules for the first time. Returns what is wrong with them; empty when they are in use. */
  async load(): Promise<readonly string[]> {
    await this.#read();
    return this.#problems;
  }

  /** Begins to look for changes. */
  async watch(): Promise<void> {
    const { path, clock, log } = this.#options;
    this.#look = every(clock, LOOK_EVERY_MS, () => this.#queueRead());
    try {
      // A file is watched through its folder: editors replace files by renaming, which ends a watch of the file.
      const folder = (await stat(path)).isDirectory() ? path : dirname(path);
      this.#watcher = watch(folder, () => this.#schedule());
      this.#watcher.on("error", () => {}); // the folder went away: looking now and then goes on
    } catch (error) {
      log.debug({ path, reason: String(error) }, "no file events; looking every so often");
    }
  }

  async stop(): Promise<void> {
    this.#quiet?.cancel();
    this.#look?.cancel();
    this.#watcher?.close();
    await this.#reading;
    // What was read may have been half of it.
    this.#quiet?.cancel();
  }

  resolve(service: string, callback: (resolution: Resolution) => void): void {
    const resolution = this.#options.configuration.holdsService(service) ? "known" : "unknown";
    queueMicrotask(() => callback(resolution));
  }

  #schedule(): void {
    this.#quiet?.cancel();
    this.#quiet = this.#options.clock.after(QUIET_MS, () => this.#queueRead());
  }

  #queueRead(): void {
    this.#reading = this.#reading.then(() => this.#read());
  }

  async #read(): Promise<void> {
    const { path, service, version = "" } = this.#options;
    try {
      const files = await findRuleFiles(path);
      if (files.state === this.#state) return;
      const { sources, digest } = await readRuleFiles(files);
      if (this.#mayBeHalfWritten(files, sources)) return this.#schedule();
      this.#state = this.#isSettled(files) ? files.state : undefined;
      if (digest === this.#digest) return;
      this.#digest = digest;
      const own = version === "" ? [service] : [service, `${service}-${version}`];
      const { resources, diagnostics, documentCount } = await compileRules({ sources, own });
      if (sources.length === 0) this.#options.log.warn({ path }, "no .yaml, .yml or .json file in this folder");
      this.#logWarnings(diagnostics);
      const errors = diagnostics.filter(({ severity }) => severity === "error").map(formatDiagnostic);
      if (errors.length > 0) this.#fail(errors);
      else await this.#apply(resources, documentCount);
    } catch (error) {
      // The same trouble every two seconds is one line in the log.
      const problem = `cannot read the rules: ${error instanceof Error ? error.message : String(error)}`;
      this.#digest = "";
      this.#state = undefined;
      if (this.#problems[0] !== problem) this.#fail([problem]);
    }
  }

  /** At start there is nothing to go on with. Where clocks differ, files that seem to come from the future are believed. */
  #mayBeHalfWritten({ changedAtMs }: RuleFiles, sources: readonly SourceText[]): boolean {
    if (this.#revision === 0) return false;
    const ageMs = this.#options.clock.wall() - changedAtMs;
    const isEmpty = sources.length === 0 || sources.some(({ content }) => content.trim() === "");
    return ageMs >= 0 && ageMs < (isEmpty ? EMPTY_QUIET_MS : QUIET_MS);
  }

  #isSettled({ changedAtMs }: RuleFiles): boolean {
    return this.#options.clock.wall() - changedAtMs > SETTLED_MS;
  }

  async #apply(resources: Parameters<Configuration["apply"]>[0]["resources"], documentCount: number): Promise<void> {
    const { configuration, log, path, onApplied } = this.#options;
    const names = new Set(resources.map(({ name }) => name));
    const removed = [...configuration.held.keys()].filter((name) => !names.has(name));
    const result = await configuration.apply({ revision: this.#revision + 1, resources, removed }, "rules");
    if (result.outcome === "refused") {
      const { resource, path: field, message } = result.refusal;
      this.#fail([`${resource}: ${field}: ${message}`]);
      return;
    }
    this.#revision++;
    this.#reloads++;
    this.#problems = [];
    log.info({ path, revision: this.#revision, documents: documentCount }, "rules loaded");
    onApplied();
  }

  #fail(problems: readonly string[]): void {
    const { log, path } = this.#options;
    this.#problems = problems;
    this.#failedReloads++;
    const goingOn = this.#revision === 0 ? "" : `; going on with revision ${this.#revision}`;
    for (const problem of problems.slice(0, DIAGNOSTICS_LOGGED_MAX)) log.error({ problem }, "rule not valid");
    log.error({ path, problems: problems.length }, `rules refused${goingOn}`);
  }

  #logWarnings(diagnostics: readonly Diagnostic[]): void {
    const warnings = diagnostics.filter(({ severity }) => severity === "warning");
    for (const warning of warnings.slice(0, DIAGNOSTICS_LOGGED_MAX)) {
      this.#options.log.warn({ problem: formatDiagnostic(warning) }, "doubtful rule");
    }
  }
}
