// Puts the rollout controller together with what it stands on; bootstrap.ts starts and stops it.
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Fleet } from "./push/fleet.ts";
import type { Registry } from "./registry/registry.ts";
import { RolloutController } from "./rollout/controller.ts";
import { createSurroundings, type Surroundings } from "./rollout/facts.ts";
import { createHttpCall } from "./rollout/http-call.ts";
import type { Store } from "./store/contract.ts";
import type { Rulebook } from "./store/rulebook.ts";
import { RateWindow } from "./telemetry/rate-window.ts";
import type { TrafficLedger } from "./telemetry/traffic-ledger.ts";

export interface RolloutParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Store;
  readonly rulebook: Rulebook;
  readonly registry: Registry;
  readonly fleet: Fleet;
  readonly traffic: TrafficLedger;
}

export function createRollouts({ clock, log, store, rulebook, registry, fleet, traffic }: RolloutParts): {
  readonly controller: RolloutController;
  readonly surroundings: Surroundings;
} {
  const rates = new RateWindow(clock, traffic);
  const surroundings = createSurroundings({ clock, rulebook, registry, fleet, traffic, rates });
  const controller = new RolloutController({
    ...{ clock, log, rulebook, traffic, surroundings, call: createHttpCall(clock) },
    store: store.rollouts,
  });
  return { controller, surroundings };
}
