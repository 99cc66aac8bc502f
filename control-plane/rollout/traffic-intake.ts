// Gathers what sidecars report of one release until the controller takes it: only of time in which the weights of now
// were in force, so that a step is not judged by the traffic of the one before.
import type { TrafficDelta } from "../telemetry/traffic-ledger.ts";
import { type Figures, NO_FIGURES, plus, type Sides } from "./evidence.ts";

/** Qualified names. */
export interface Versions {
  readonly service: string;
  readonly stable: string;
  readonly canary: string;
}

/** Routes of one service whose figures are kept apart. */
const ROUTES_MAX = 200;

export class TrafficIntake {
  #versions: Versions;
  #sinceMs: number;
  #canary: Figures = NO_FIGURES;
  #stable: Figures = NO_FIGURES;
  #mirrored: Figures = NO_FIGURES;
  /** Since the step began, by route. */
  readonly #routes = new Map<string, Sides>();

  /** @param nowMs monotonic */
  constructor(versions: Versions, nowMs: number) {
    this.#versions = versions;
    this.#sinceMs = nowMs;
  }

  /** Other weights, or another release: what was gathered is of no use, nor is a report that began before now. */
  restart(versions: Versions, nowMs: number): void {
    this.#versions = versions;
    this.#sinceMs = nowMs;
    this.#routes.clear();
    this.take("requests");
  }

  /** @returns whether it says something of the canary */
  add({ fromMs, counts }: TrafficDelta): boolean {
    if (fromMs < this.#sinceMs) return false;
    let isNews = false;
    const { service, stable, canary } = this.#versions;
    for (const count of counts) {
      if (count.backend === canary) isNews = true;
      if (count.mirror && count.backend === canary) this.#mirrored = plus(this.#mirrored, count);
      // Counts of no rule in particular are of all traffic, of whatever rules; those of a release know codes of gRPC, too.
      if (count.mirror || count.route === "" || count.service !== service) continue;
      if (count.backend !== canary && count.backend !== stable) continue;
      this.#addRoute(count.route, count.backend === canary, count);
      if (count.backend === canary) this.#canary = plus(this.#canary, count);
      else this.#stable = plus(this.#stable, count);
    }
    return isNews;
  }

  /** What came since the last time. @param of the canary's side is made of copies in a mirror step */
  take(of: "requests" | "copies"): Sides {
    const sides = { canary: of === "copies" ? this.#mirrored : this.#canary, stable: this.#stable };
    this.#canary = NO_FIGURES;
    this.#stable = NO_FIGURES;
    this.#mirrored = NO_FIGURES;
    return sides;
  }

  /** What was taken was of no use to anybody, and is there the next time. */
  giveBack({ canary, stable }: Sides, of: "requests" | "copies"): void {
    if (of === "copies") this.#mirrored = plus(this.#mirrored, canary);
    else this.#canary = plus(this.#canary, canary);
    this.#stable = plus(this.#stable, stable);
  }

  /** By route and rule, since the step began. */
  get routes(): ReadonlyMap<string, Sides> {
    return this.#routes;
  }

  #addRoute(route: string, isCanary: boolean, figures: Figures): void {
    const known = this.#routes.get(route);
    if (known === undefined && this.#routes.size >= ROUTES_MAX) return;
    const { canary, stable } = known ?? { canary: NO_FIGURES, stable: NO_FIGURES };
    this.#routes.set(route, {
      canary: isCanary ? plus(canary, figures) : canary,
      stable: isCanary ? stable : plus(stable, figures),
    });
  }
}
