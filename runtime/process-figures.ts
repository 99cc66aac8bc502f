// Figures of a process by the names that Prometheus users know: CPU, memory, event loop, garbage collection. Nothing is
// measured before somebody asks for the first time. What is exposed, and how, is for the asker to say.
import { type EventLoopUtilization, monitorEventLoopDelay, PerformanceObserver, performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";

/** Often enough to see stalls, seldom enough to cost an idle process nothing worth mentioning. */
const DELAY_RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;

/** What only the process itself can tell; passed in, because `process` is touched in main.ts only. */
export interface Usage {
  /** User and system together, since the start. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** The process, as far as its usage is asked of it. */
interface UsageSource {
  cpuUsage(): { readonly user: number; readonly system: number };
  readonly memoryUsage: { rss(): number };
}

/** Tells what the process has used. Never throws: the resident size is read from a file, for which a descriptor may be missing. */
export function usageOf(source: UsageSource): () => Usage {
  let residentBytes = 0;
  return () => {
    const { user, system } = source.cpuUsage();
    try {
      residentBytes = source.memoryUsage.rss();
    } catch {
      // What was known last is told again.
    }
    return { cpuSeconds: (user + system) / 1e6, residentBytes };
  };
}

type GcKind = "minor" | "major" | "incremental" | "weakcb";

/** By the constants of `perf_hooks`. */
const GC_KINDS: Readonly<Record<number, GcKind>> = { 1: "minor", 4: "major", 8: "incremental", 16: "weakcb" };

interface GcFigures {
  runs: number;
  seconds: number;
}

interface ProcessReading extends Usage {
  readonly startedSeconds: number;
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  readonly externalBytes: number;
  /** Share of the time since the last reading that the event loop was busy, 0..1. */
  readonly eventLoopUtilization: number;
  /** Lateness of timers since the last reading, in seconds. */
  readonly eventLoopDelay: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly gc: Readonly<Record<GcKind, GcFigures>>;
}

export class ProcessFigures {
  readonly #usage: () => Usage;
  readonly #gc: Record<GcKind, GcFigures> = {
    minor: { runs: 0, seconds: 0 },
    major: { runs: 0, seconds: 0 },
    incremental: { runs: 0, seconds: 0 },
    weakcb: { runs: 0, seconds: 0 },
  };
  #delay: ReturnType<typeof monitorEventLoopDelay> | undefined = undefined;
  #last: EventLoopUtilization | undefined = undefined;

  constructor(usage: () => Usage) {
    this.#usage = usage;
  }

  read(): ProcessReading {
    const delay = this.#delay ?? this.#start();
    const { used_heap_size, heap_size_limit, external_memory } = getHeapStatistics();
    const utilization = performance.eventLoopUtilization();
    const since = performance.eventLoopUtilization(utilization, this.#last ?? { idle: 0, active: 0, utilization: 0 });
    this.#last = utilization;
    const hasSamples = delay.count > 0;
    // The monitor counts the whole time between its timers; what is late is what is above their distance.
    const late = (nanoseconds: number): number =>
      hasSamples ? Math.max(0, nanoseconds / NANOSECONDS - DELAY_RESOLUTION_MS / 1_000) : 0;
    const eventLoopDelay = { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), max: late(delay.max) };
    delay.reset();
    return {
      ...this.#usage(),
      startedSeconds: performance.timeOrigin / 1_000,
      heapUsedBytes: used_heap_size,
      heapLimitBytes: heap_size_limit,
      externalBytes: external_memory,
      eventLoopUtilization: since.utilization,
      eventLoopDelay,
      gc: this.#gc,
    };
  }

  #start(): ReturnType<typeof monitorEventLoopDelay> {
    const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
    delay.enable();
    this.#delay = delay;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { kind } = (entry as unknown as { detail?: { kind?: number } }).detail ?? {};
        const figures = this.#gc[GC_KINDS[kind ?? 0] ?? "weakcb"];
        figures.runs++;
        figures.seconds += entry.duration / 1_000;
      }
    }).observe({ entryTypes: ["gc"] });
    return delay;
  }
}
