// The processes of a process group: signals to all of them, and whether one still runs when the one that began the group has
// ended. Not those that left it for a session of their own: daemons mean to stay.
import { readdirSync, readFileSync } from "node:fs";

/** Sends a signal to a process, or to a process group when `pid` is negative; 0 only asks whether there is one: process.kill. */
export type SendSignal = (pid: number, signal: NodeJS.Signals | 0) => unknown;

export class ProcessGroup {
  readonly #id: number;
  readonly #send: SendSignal;
  /** Of one that ran when it was last asked; 0: not known. */
  #runningPid = 0;
  /** Its number may be somebody else's by now. */
  #isGone = false;

  /** @param id of the process that began it; 0: there is none */
  constructor(id: number, send: SendSignal) {
    this.#id = id;
    this.#send = send;
    this.#isGone = id === 0;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#isGone) this.#isGone = !this.#reach(signal);
  }

  /** Does any of its processes run? Those that have ended and that nobody waits for, as in containers without an init, do not. */
  isRunning(): boolean {
    if (this.#isGone || isOf(this.#id, this.#runningPid)) return !this.#isGone;
    this.#runningPid = this.#reach(0) ? findRunning(this.#id) : NOBODY;
    this.#isGone = this.#runningPid === NOBODY;
    return !this.#isGone;
  }

  #reach(signal: NodeJS.Signals | 0): boolean {
    try {
      this.#send(-this.#id, signal);
      return true;
    } catch {
      // ESRCH: nothing of the group is left. EPERM: what is left is not this user's to end.
      return false;
    }
  }
}

const NOBODY = -1;

/** A process of the group that runs; 0 where the system does not say, NOBODY where there is none. */
function findRunning(group: number): number {
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return 0;
  }
  const found = names.find((name) => /^\d+$/.test(name) && isOf(group, Number(name)));
  return found === undefined ? NOBODY : Number(found);
}

/** Does this process run, and in that group? */
function isOf(group: number, pid: number): boolean {
  if (pid <= 0) return false;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // PID (NAME) STATE PARENT GROUP: the name may hold anything (proc_pid_stat(5)).
    const [state = "Z", , ofGroup] = text.slice(text.lastIndexOf(")") + 2).split(" ", 3);
    return Number(ofGroup) === group && state !== "Z" && state !== "X";
  } catch {
    return false;
  }
}
