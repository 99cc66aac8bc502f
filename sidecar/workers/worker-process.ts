// One worker process as its parent sees it: orders that are answered, questions that it asks, its end. When it is started
// and what it is told is fleet.ts.
import { type ChildProcess, fork } from "node:child_process";
import { extname, join } from "node:path";
import type { OnTapReport } from "../observe/tap.ts";
import type { Resolution } from "../resolver.ts";
import type { FromWorker, Gives, OrderFailure, OrderName, Takes, ToWorker } from "./protocol.ts";

/** Beside this file, with the extension that this file has: sources and compiled code alike. */
const ENTRY = join(import.meta.dirname, `main${extname(import.meta.filename)}`);

/** The worker carried out an order and failed; it goes on. */
export class OrderError extends Error {
  readonly code: string | undefined;
  /** Of an update that was refused: resource and field. */
  readonly resource: string | undefined;
  readonly path: string | undefined;

  constructor({ message, code, resource, path }: OrderFailure) {
    super(message);
    this.name = "OrderError";
    this.code = code;
    this.resource = resource;
    this.path = path;
  }
}

/** The worker has ended and answers nothing any more. */
export class WorkerGone extends Error {
  constructor() {
    super("the worker process has ended");
    this.name = "WorkerGone";
  }
}

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A question of the worker: call `answer` once. */
export type OnQuestion = (service: string, answer: (resolution: Resolution) => void) => void;

/** A worker, as slot and fleet know it. */
export interface WorkerHandle {
  readonly pid: number;
  readonly hasExited: boolean;
  /** Resolves when the process has ended, or could not be started. Orders that were open are rejected by then. */
  readonly exited: Promise<WorkerExit>;
  /** Rejects with OrderError when the worker failed at it, with WorkerGone when it ended before it was done. */
  ask<Name extends OrderName>(order: Name, takes: Takes<Name>): Promise<Gives<Name>>;
  kill(): void;
  /** Tells it nothing any more: the worker ends by itself. */
  dismiss(): void;
}

interface Pending {
  readonly resolve: (gives: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerProcess implements WorkerHandle {
  readonly exited: Promise<WorkerExit>;
  readonly #child: ChildProcess;
  readonly #onQuestion: OnQuestion;
  readonly #onTapReport: OnTapReport;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #hasExited = false;

  /** Starts the process, with this one's stdout and stderr. */
  constructor(onQuestion: OnQuestion, onTapReport: OnTapReport) {
    this.#onQuestion = onQuestion;
    this.#onTapReport = onTapReport;
    this.#child = fork(ENTRY, [], { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child.on("message", (message) => this.#onMessage(message as FromWorker));
    this.exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve(this.#onExit({ code, signal })));
      // Without a process there is no "exit".
      this.#child.on("error", () => {
        if (this.#child.pid === undefined) resolve(this.#onExit({ code: null, signal: null }));
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  ask<Name extends OrderName>(order: Name, takes: Takes<Name>): Promise<Gives<Name>> {
    if (this.#hasExited) return Promise.reject(new WorkerGone());
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject });
      this.#send({ type: "order", id, order, takes });
    });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Closes the channel, which the worker takes as its end. */
  dismiss(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #send(message: ToWorker): void {
    // The channel of a process that is ending may be closed already; its exit tells everybody who waits.
    this.#child.send(message, undefined, undefined, () => {});
  }

  #onMessage(message: FromWorker): void {
    if (message.type === "resolve") {
      const { question, service } = message;
      this.#onQuestion(service, (resolution) => this.#send({ type: "resolved", question, resolution }));
      return;
    }
    if (message.type === "tapped") return this.#onTapReport(message.report);
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.type === "done") pending?.resolve(message.gives);
    else pending?.reject(new OrderError(message.failure));
  }

  #onExit(exit: WorkerExit): WorkerExit {
    this.#hasExited = true;
    for (const { reject } of this.#pending.values()) reject(new WorkerGone());
    this.#pending.clear();
    return exit;
  }
}
