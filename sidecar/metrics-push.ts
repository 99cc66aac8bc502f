// Turns the push of metrics by OTLP on and off as the Mesh document says. One per sidecar, whatever its processes.
import { isDeepStrictEqual } from "node:util";
import type { MeshResource } from "../rules/resource.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { CellFamily, type HistogramFamily } from "./observe/families.ts";
import { type PendingIdentity, resourceAttributes } from "./observe/otlp/identity.ts";
import type { MetricsPush } from "./observe/otlp/metrics-push.ts";

type Settings = MeshResource["metrics"]["otlp"];

export interface MetricsPushSources {
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: PendingIdentity;
  readonly families: () => Promise<readonly (CellFamily | HistogramFamily)[]>;
}

export class MetricsPushSwitch {
  /** Of the process that pushes, which is not the one that carries traffic where there are several. */
  readonly pushes = new CellFamily("counter", "weft_metrics_pushes_total", "Pushes of metrics by OTLP, by outcome.", [
    "outcome",
  ]);
  readonly #sources: MetricsPushSources;
  #wanted: Settings = undefined;
  #current: { readonly settings: Settings; readonly push: MetricsPush } | undefined = undefined;
  /** Changes are made one after the other. */
  #turn: Promise<void> = Promise.resolve();

  constructor(sources: MetricsPushSources) {
    this.#sources = sources;
  }

  configure(settings: Settings): void {
    if (isDeepStrictEqual(settings, this.#wanted)) return;
    this.#wanted = settings;
    this.#turn = this.#turn.then(() => this.#settle());
  }

  /** Pushes once more, if it is on. */
  async close(): Promise<void> {
    this.configure(undefined);
    await this.#turn;
  }

  async #settle(): Promise<void> {
    const { clock, log, identity, families } = this.#sources;
    const wanted = this.#wanted;
    if (isDeepStrictEqual(this.#current?.settings, wanted)) return;
    await this.#current?.push.close();
    this.#current = undefined;
    if (wanted === undefined) return;
    try {
      const { startMetricsPush } = await import("./observe/otlp/metrics-push.ts");
      const { endpoint, intervalMs } = wanted;
      const push = await startMetricsPush({
        ...{ target: wanted, intervalMs, clock, families },
        attributes: resourceAttributes(await identity.whole, {}),
        count: (outcome, pushes) => {
          this.pushes.cell(outcome).value += pushes;
        },
        onChange: (error) => {
          if (error === "") log.info({ endpoint }, "metrics reach the collector again");
          else log.warn({ endpoint, reason: error }, "metrics do not reach the collector");
        },
      });
      this.#current = { settings: wanted, push };
    } catch (error) {
      log.error({ err: error }, "metrics cannot be pushed");
    }
  }
}
