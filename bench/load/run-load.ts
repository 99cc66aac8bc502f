// The loads: closed loop, constant rate, and connections that are only held. Each ends with a report.

import { Client, type ClientOwner } from "./client.ts";
import type { Command, CpuTime, LoadReport, Workload } from "./contract.ts";
import { cpuSince, cpuTimesOf } from "./cpu-time.ts";
import { Latencies } from "./latencies.ts";

type Load = Extract<Command, { kind: "closed-loop" | "constant-rate" }>;

/** Before the measured window: pools fill, and code that runs often is compiled. */
const WARM_UP_SHARE = 0.15;
/** So many connections are being opened at the same time. */
const OPENING_MAX = 256;

/** Runs a load to its end. */
export function runLoad(load: Load, workload: Workload): Promise<LoadReport> {
  return new Promise((settle) => {
    const run = load.kind === "closed-loop" ? new ClosedLoop(load, workload) : new ConstantRate(load, workload);
    run.begin(settle);
  });
}

abstract class Run implements ClientOwner {
  readonly load: Load;
  readonly #workload: Workload;
  readonly #clients: Client[] = [];
  readonly latencies = new Latencies();
  #connected = 0;
  #requests = 0;
  #errors = 0;
  #firstError = "";
  #isOver = false;
  #settle: (report: LoadReport) => void = () => {};
  #windowStartMs = 0;
  #cpuAtStart: readonly CpuTime[] = [];
  #ownCpuAtStart = process.cpuUsage();

  constructor(load: Load, workload: Workload) {
    this.load = load;
    this.#workload = workload;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  begin(settle: (report: LoadReport) => void): void {
    this.#settle = settle;
    for (let opened = 0; opened < Math.min(OPENING_MAX, this.load.connections); opened++) this.#open();
  }

  #open(): void {
    this.#clients.push(new Client(this, this.load.target, this.#workload, this.#clients.length));
  }

  onConnected(_client: Client): void {
    this.#connected++;
    if (this.#clients.length < this.load.connections) this.#open();
    else if (this.#connected === this.load.connections) this.#startTraffic();
  }

  #startTraffic(): void {
    const { durationMs } = this.load;
    for (const client of this.#clients) this.onReady(client);
    setTimeout(() => this.#openWindow(), durationMs * WARM_UP_SHARE);
  }

  #openWindow(): void {
    this.#requests = 0;
    this.latencies.clear();
    this.#cpuAtStart = cpuTimesOf(this.load.target.pids);
    this.#ownCpuAtStart = process.cpuUsage();
    this.#windowStartMs = performance.now();
    setTimeout(() => this.#closeWindow(), this.load.durationMs);
  }

  #closeWindow(): void {
    const seconds = (performance.now() - this.#windowStartMs) / 1000;
    const used = cpuSince(this.#cpuAtStart, this.load.target.pids);
    const own = process.cpuUsage(this.#ownCpuAtStart);
    this.#isOver = true;
    for (const client of this.#clients) client.close();
    const { requestBytes, responseBytes } = this.#workload;
    const quantile = (share: number): number => this.latencies.quantileMs(share);
    this.#settle({
      requests: this.#requests,
      errors: this.#errors,
      firstError: this.#firstError,
      seconds,
      bodyBytes: this.#requests * (requestBytes + responseBytes),
      ...used,
      loadCpu: { userUs: own.user, systemUs: own.system },
      latencyMs: { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999), max: this.latencies.maxMs },
    });
  }

  onAnswer(client: Client): void {
    if (this.#isOver) return;
    this.#requests++;
    this.latencies.add(performance.now() - client.dueMs);
    this.onReady(client);
  }

  onFailure(_client: Client, why: string): void {
    if (this.#isOver) return;
    if (this.#errors++ === 0) this.#firstError = why;
    if (this.#connected < this.load.connections) this.#closeWindow();
  }

  /** The client is connected, or has its answer. */
  abstract onReady(client: Client): void;
}

class ClosedLoop extends Run {
  onReady(client: Client): void {
    client.dueMs = performance.now();
    client.send();
  }
}

/**
 * Polls instead of sleeping, because timers are a millisecond coarse. A request that finds no idle connection waits
 * for one with its time running: leaving it out is what is called coordinated omission.
 */
class ConstantRate extends Run {
  readonly #idle: Client[] = [];
  readonly #waiting: number[] = [];
  #firstWaiting = 0;
  #nextMs = 0;
  readonly #stepMs: number;

  constructor(load: Extract<Load, { kind: "constant-rate" }>, workload: Workload) {
    super(load, workload);
    this.#stepMs = 1000 / load.perSecond;
  }

  onReady(client: Client): void {
    if (this.#firstWaiting < this.#waiting.length) {
      this.#send(client, this.#waiting[this.#firstWaiting++] ?? 0);
      return;
    }
    this.#waiting.length = 0;
    this.#firstWaiting = 0;
    this.#idle.push(client);
    if (this.#nextMs === 0) {
      this.#nextMs = performance.now();
      this.#poll();
    }
  }

  #poll(): void {
    const nowMs = performance.now();
    for (; this.#nextMs <= nowMs; this.#nextMs += this.#stepMs) {
      const client = this.#idle.pop();
      if (client === undefined) this.#waiting.push(this.#nextMs);
      else this.#send(client, this.#nextMs);
    }
    if (!this.isOver) setImmediate(() => this.#poll());
  }

  #send(client: Client, dueMs: number): void {
    client.dueMs = dueMs;
    client.send();
  }
}

/** Connections that are open and silent after one request each. */
export class HeldConnections {
  readonly #clients: Client[] = [];

  open(count: number, target: Load["target"], workload: Workload): Promise<void> {
    return new Promise((settle, fail) => {
      let answered = 0;
      const openNext = (): void => {
        this.#clients.push(new Client(owner, target, workload, this.#clients.length));
      };
      const owner: ClientOwner = {
        onConnected: (client) => client.send(),
        onAnswer: () => {
          answered++;
          if (this.#clients.length < count) openNext();
          else if (answered === count) settle();
        },
        onFailure: (_client, why) => fail(new Error(`a held connection failed: ${why}`)),
      };
      for (let opened = 0; opened < Math.min(16, count); opened++) openNext();
    });
  }

  letGo(): void {
    for (const client of this.#clients.splice(0)) client.close();
  }
}
