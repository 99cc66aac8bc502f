// The sidecar's own condition as metrics: configuration, control plane, app. What passes through it is counted in
// observe/metrics.ts. Gauges are brought up to date when somebody reads them.
import type { Configuration } from "./discovery/configuration.ts";
import type { Source } from "./discovery/source.ts";
import { CellFamily } from "./observe/families.ts";

export interface ConditionSources {
  readonly configuration: Configuration;
  readonly source: Source;
  /** Undefined where there is no app. */
  readonly isAppListening: () => boolean | undefined;
}

/** Families for the exposition, beside those of the data path. */
export class ConditionMetrics {
  readonly #sources: ConditionSources;
  readonly #connected = gauge("weft_control_plane_connected", "1 while the discovery stream is up.");
  readonly #lastHeard = gauge(
    "weft_control_plane_last_heard_seconds",
    "When the control plane was heard last (epoch).",
  );
  readonly #failedAttempts = gauge("weft_control_plane_failed_attempts", "Attempts to connect since the last success.");
  readonly #updates = new CellFamily("counter", "weft_configuration_updates_total", "Updates, by outcome.", [
    "outcome",
  ]);
  readonly #appliedAt = gauge("weft_configuration_applied_seconds", "When configuration was applied last (epoch).");
  readonly #resources = gauge("weft_configuration_resources", "Resources that the sidecar holds.");
  readonly #subscriptions = gauge("weft_subscriptions", "Services that the sidecar is subscribed to.");
  readonly #cacheSavedAt = gauge("weft_cache_saved_seconds", "When the cache file was written last (epoch).");
  readonly #rulesValid = gauge("weft_rules_valid", "Stand-alone: 1 while the rule files are what is acted on.");
  readonly #appListening = gauge("weft_app_listening", "1 while the app accepts connections.");

  constructor(sources: ConditionSources) {
    this.#sources = sources;
  }

  families(): CellFamily[] {
    const { configuration, source, isAppListening } = this.#sources;
    const { discovery, standAlone, subscriptions, cacheSavedAtMs } = source.status;
    if (discovery !== undefined) {
      this.#connected.cell().value = discovery.state === "connected" ? 1 : 0;
      this.#lastHeard.cell().value = discovery.lastHeardAtMs / 1_000;
      this.#failedAttempts.cell().value = discovery.failedAttempts;
      this.#subscriptions.cell().value = subscriptions.length;
      this.#cacheSavedAt.cell().value = cacheSavedAtMs / 1_000;
    }
    if (standAlone !== undefined) this.#rulesValid.cell().value = standAlone.problems.length === 0 ? 1 : 0;
    const isListening = isAppListening();
    if (isListening !== undefined) this.#appListening.cell().value = isListening ? 1 : 0;
    this.#updates.cell("applied").value = configuration.appliedCount;
    this.#updates.cell("refused").value = configuration.refusedCount;
    this.#appliedAt.cell().value = configuration.appliedAtMs / 1_000;
    this.#resources.cell().value = configuration.held.size;
    const all = [this.#connected, this.#lastHeard, this.#failedAttempts, this.#updates, this.#appliedAt];
    all.push(this.#resources, this.#subscriptions, this.#cacheSavedAt, this.#rulesValid, this.#appListening);
    return all.filter(({ cells }) => cells.entries.size > 0);
  }
}

function gauge(name: string, help: string): CellFamily {
  return new CellFamily("gauge", name, help, []);
}
