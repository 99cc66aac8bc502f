// The sidecar's process in its metrics, by the names of Prometheus' client libraries. With several processes they are
// those of all workers together, or of the worst of them.
import type { ProcessFigures } from "../../runtime/process-figures.ts";
import { CellFamily } from "./families.ts";

export class ProcessMetrics {
  readonly #figures: ProcessFigures;
  readonly #cpu = new CellFamily("counter", "process_cpu_seconds_total", "CPU time, user and system.", []);
  readonly #resident = new CellFamily("gauge", "process_resident_memory_bytes", "Resident memory.", []);
  readonly #started = new CellFamily("gauge", "process_start_time_seconds", "When it started (epoch).", [], "min");
  readonly #heapUsed = new CellFamily("gauge", "nodejs_heap_used_bytes", "JavaScript heap in use.", []);
  readonly #heapLimit = new CellFamily("gauge", "nodejs_heap_limit_bytes", "What the heap may grow to.", []);
  readonly #external = new CellFamily("gauge", "nodejs_external_memory_bytes", "Memory outside of the heap.", []);
  readonly #utilization = new CellFamily(
    "gauge",
    "nodejs_eventloop_utilization",
    "Share of the time since the last reading that the event loop was busy.",
    [],
    "max",
  );
  readonly #delay = new CellFamily(
    "gauge",
    "nodejs_eventloop_delay_seconds",
    "Lateness of timers since the last reading.",
    ["percentile"],
    "max",
  );
  readonly #gcRuns = new CellFamily("counter", "nodejs_gc_runs_total", "Garbage collections.", ["kind"]);
  readonly #gcSeconds = new CellFamily("counter", "nodejs_gc_seconds_total", "Time in garbage collection.", ["kind"]);

  constructor(figures: ProcessFigures) {
    this.#figures = figures;
  }

  families(): CellFamily[] {
    const reading = this.#figures.read();
    const { eventLoopDelay, gc } = reading;
    this.#cpu.cell().value = reading.cpuSeconds;
    this.#resident.cell().value = reading.residentBytes;
    this.#started.cell().value = reading.startedSeconds;
    this.#heapUsed.cell().value = reading.heapUsedBytes;
    this.#heapLimit.cell().value = reading.heapLimitBytes;
    this.#external.cell().value = reading.externalBytes;
    this.#utilization.cell().value = reading.eventLoopUtilization;
    this.#delay.cell("50").value = eventLoopDelay.p50;
    this.#delay.cell("99").value = eventLoopDelay.p99;
    this.#delay.cell("100").value = eventLoopDelay.max;
    for (const [kind, { runs, seconds }] of Object.entries(gc)) {
      this.#gcRuns.cell(kind).value = runs;
      this.#gcSeconds.cell(kind).value = seconds;
    }
    const memory = [this.#resident, this.#heapUsed, this.#heapLimit, this.#external];
    return [this.#cpu, ...memory, this.#started, this.#utilization, this.#delay, this.#gcRuns, this.#gcSeconds];
  }
}
