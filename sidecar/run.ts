// One run of the sidecar, from its start to its exit code: start, print the ready line, run the app where there is a
// command, and end in order when told to or when the app has ended. How parts are started is start.ts, the order of
// ending is shutdown.ts.
import { constants } from "node:os";
import { formatHostPort, parseHostPort } from "../runtime/address.ts";
import { sleep } from "../runtime/clock.ts";
import { IdleCompaction } from "../runtime/idle-compaction.ts";
import { type AppExit, type AppProcess, startApp } from "./app/app-process.ts";
import type { SendSignal } from "./app/process-group.ts";
import type { SidecarSettings } from "./bootstrap.ts";
import { type ShutdownCause, shutDown } from "./shutdown.ts";
import { type Sidecar, type StartFloor, startSidecar } from "./start.ts";
import { StartFailure } from "./start-failure.ts";

/** How long the app waits for a configuration before it is started without one: calls are then answered 503. */
const APP_START_WAIT_MS = 10_000;
const CODE_SIGNAL_BASE = 128;
/** What logrotate's scripts send: the first to most programs, the second to nginx and Envoy. */
const REOPEN_SIGNALS: ReadonlySet<NodeJS.Signals> = new Set(["SIGHUP", "SIGUSR1"]);
/** What was read at the start is let go of by then. */
const COMPACT_AFTER_MS = 250;

export type StopSignal = "SIGTERM" | "SIGINT";

/** The process, as far as a run needs it. */
export interface RunFloor extends StartFloor {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly sendSignal: SendSignal;
  /** Gives back what is not used any more; does nothing where it cannot. */
  readonly compactMemory: () => void;
  /** One line on stdout. */
  readonly print: (line: string) => void;
  /** For people, on stderr. */
  readonly complain: (text: string) => void;
  readonly onStop: (stop: (signal: StopSignal) => void) => void;
  /** The process ends now, perhaps for an error; nothing that takes time can be done. */
  readonly onExit: (last: () => void) => void;
  /** From now on an error that nobody caught is told to `report` instead of ending the process. */
  readonly surviveBugs: (report: (error: unknown) => void) => void;
  /** Signals that may mean something to the app, too. */
  readonly onAppSignal: (pass: (signal: NodeJS.Signals) => void) => void;
}

/** Resolves with the exit code when everything has ended. */
export async function runSidecar(settings: SidecarSettings, floor: RunFloor): Promise<number> {
  try {
    const run = new Run(settings, floor);
    return await run.toTheEnd();
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    floor.complain(error.message);
    return error.code;
  }
}

const CAUSES: Readonly<Record<StopSignal | "app-gone", ShutdownCause>> = {
  SIGTERM: "terminate",
  SIGINT: "interrupt",
  "app-gone": "app-gone",
};

class Run {
  readonly #settings: SidecarSettings;
  readonly #floor: RunFloor;
  readonly #ended = Promise.withResolvers<number>();
  readonly #stopAsked = Promise.withResolvers<void>();
  #sidecar: Sidecar | undefined;
  #app: AppProcess | undefined;
  #appExit: AppExit | undefined;
  #stopSignal: StopSignal | undefined;

  constructor(settings: SidecarSettings, floor: RunFloor) {
    this.#settings = settings;
    this.#floor = floor;
  }

  async toTheEnd(): Promise<number> {
    const { onStop, onExit, onAppSignal, print } = this.#floor;
    onStop((signal) => this.#stop(signal));
    onExit(() => {
      this.#sidecar?.cut();
      if (this.#appExit === undefined) this.#app?.signal("SIGTERM");
    });
    const sidecar = await startSidecar(this.#settings, this.#floor, () => this.#stop("SIGTERM"));
    this.#sidecar = sidecar;
    // While it starts, ending is the better answer; from here on others depend on it.
    this.#floor.surviveBugs((error) => sidecar.onBug(error));
    print(JSON.stringify(sidecar.readyLine));
    void sidecar.configured.then(() => this.#keepCompact());
    if (this.#stopSignal !== undefined) void this.#end(this.#stopSignal);
    else if (this.#settings.command.length > 0) void this.#runApp(sidecar);
    onAppSignal((signal) => {
      this.#app?.signal(signal);
      if (REOPEN_SIGNALS.has(signal)) void sidecar.reopenLogs();
    });
    return this.#ended.promise;
  }

  #keepCompact(): void {
    const { clock, usage, compactMemory } = this.#floor;
    const compaction = new IdleCompaction({ clock, usage, compact: compactMemory });
    clock.after(COMPACT_AFTER_MS, () => compaction.compact());
    compaction.watch();
    void this.#ended.promise.then(() => compaction.stop());
  }

  /** The first signal ends in order, the second at once. */
  #stop(signal: StopSignal): void {
    if (this.#stopSignal !== undefined) {
      this.#app?.signal("SIGKILL");
      this.#ended.resolve(CODE_SIGNAL_BASE + constants.signals[signal]);
      return;
    }
    this.#stopSignal = signal;
    this.#stopAsked.resolve();
    if (this.#sidecar !== undefined && this.#appExit === undefined) void this.#end(signal);
  }

  async #runApp(sidecar: Sidecar): Promise<void> {
    const { clock, log, env, sendSignal } = this.#floor;
    await Promise.race([sidecar.configured, sleep(clock, APP_START_WAIT_MS), this.#stopAsked.promise]);
    if (this.#stopSignal !== undefined) return;
    if (!sidecar.isConfigured)
      log.warn({ afterMs: APP_START_WAIT_MS }, "no configuration yet; starting the app without");
    const [file = "", ...args] = this.#settings.command;
    const app = startApp({ file, args, env: { ...env, ...appEnvironment(sidecar) } }, sendSignal);
    this.#app = app;
    if (app.pid !== 0) log.info({ pid: app.pid, command: file }, "app started");
    const exit = await app.exited;
    this.#appExit = exit;
    log.info(exit, "the app has ended");
    if (app.pid === 0) this.#floor.complain(`error: the app ${exit.reason}`);
    if (this.#stopSignal === undefined) await this.#end("app-gone");
  }

  async #end(why: StopSignal | "app-gone"): Promise<void> {
    const sidecar = this.#sidecar;
    if (sidecar === undefined) return;
    const app = this.#app;
    const neverRan = this.#settings.command.length > 0 && app === undefined;
    const cause = neverRan ? "app-gone" : CAUSES[why];
    const wrapped =
      app === undefined
        ? sidecar.appBeside
        : { signal: (signal: NodeJS.Signals) => app.signal(signal), hasGone: () => !app.isRunning() };
    const { clock, log } = this.#floor;
    await shutDown({ ...sidecar.shutdownParts, app: wrapped, clock, log, drainMs: this.#settings.drainMs }, cause);
    this.#ended.resolve(this.#exitCode());
  }

  /** The app's own where there was one; a command that never ran was ended by the signal. */
  #exitCode(): number {
    if (this.#appExit !== undefined) return this.#appExit.code;
    const neverRan = this.#settings.command.length > 0 && this.#stopSignal !== undefined;
    return neverRan ? CODE_SIGNAL_BASE + constants.signals[this.#stopSignal ?? "SIGTERM"] : 0;
  }
}

/** Where the app finds the mesh. HTTP_PROXY is left to the user: it would also catch calls that are not for the mesh. */
function appEnvironment({ readyLine }: Sidecar): Record<string, string> {
  const outbound = parseHostPort(readyLine.outbound ?? "");
  if (outbound === undefined) return {};
  const host = outbound.host === "0.0.0.0" || outbound.host === "::" ? "127.0.0.1" : outbound.host;
  return { WEFT_OUTBOUND_URL: `http://${formatHostPort(host, outbound.port)}` };
}
