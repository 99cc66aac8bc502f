// Outlier detection: endpoints that fail while others do not are ejected for a while (Envoy's outlier_detection). Decides
// from what attempts report and from the clock it is given; sweeps when it is asked and one is due, so it has no timer.
// What differs from Envoy, because users of few hosts suffered from it: the bound is `keepAtLeast` in hosts, the last
// one is never ejected, a refused ejection is told, and an ejection ends at its time, not at the next sweep.

export interface OutlierSettings {
  /** In a row; 0: off. */
  readonly consecutiveErrors: number;
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveConnectFailures: number;
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  /** Hosts that are left at least. */
  readonly keepAtLeast: number;
  readonly successRate:
    | { readonly stdevFactor: number; readonly minHosts: number; readonly minRequests: number }
    | undefined;
  readonly failurePercentage:
    | { readonly threshold: number; readonly minHosts: number; readonly minRequests: number }
    | undefined;
}

/** How an attempt ended, as far as it concerns the host: each kind counts as the ones before it too. */
export type HostOutcome = "success" | "error" | "gateway-error" | "connect-failure";

export type EjectionCause =
  | "consecutive-errors"
  | "consecutive-gateway-errors"
  | "consecutive-connect-failures"
  | "success-rate"
  | "failure-percentage";

/** What is remembered of one host. Built once with its endpoint; only the detector changes it. */
export class OutlierHost {
  /** For people. */
  readonly name: string;
  /** Out for another reason (an active health check); such hosts are not among those that are left. */
  isOut = false;
  errors = 0;
  gatewayErrors = 0;
  connectFailures = 0;
  /** In this interval. */
  successes = 0;
  failures = 0;
  /** While ejected: when it ends. */
  ejectedUntilMs = 0;
  isEjected = false;
  cause: EjectionCause | "" = "";
  /** A refusal of its ejection was told, and nothing has changed since. */
  isRefusalTold = false;
  /** How often, less the good intervals since; the next ejection is this much longer. */
  ejections = 0;

  constructor(name: string) {
    this.name = name;
  }
}

export interface OutlierListener {
  onEjected(host: OutlierHost, cause: EjectionCause, forMs: number): void;
  onReturned(host: OutlierHost): void;
  /** It would have been ejected, but too few hosts would be left. */
  onRefused(host: OutlierHost, cause: EjectionCause, isRepeated: boolean): void;
}

export class OutlierDetector {
  #settings: OutlierSettings;
  readonly #listener: OutlierListener;
  #hosts: readonly OutlierHost[] = [];
  #sweepMs = 0;
  /** The next sweep or end of an ejection. */
  #dueMs = 0;

  constructor(settings: OutlierSettings, listener: OutlierListener, nowMs: number) {
    this.#settings = settings;
    this.#listener = listener;
    this.#sweepMs = nowMs + settings.intervalMs;
    this.#dueMs = this.#sweepMs;
  }

  get hosts(): readonly OutlierHost[] {
    return this.#hosts;
  }

  configure(settings: OutlierSettings): void {
    this.#settings = settings;
  }

  /** The hosts there are from now on. What is known of those that stay, stays. */
  setHosts(hosts: readonly OutlierHost[]): void {
    this.#hosts = hosts;
    this.#keepEnough();
    this.#dueMs = Math.min(this.#sweepMs, ...this.#ejectionEnds());
  }

  /** An attempt at `host` ended. May eject it at once. */
  report(host: OutlierHost, outcome: HostOutcome, nowMs: number): void {
    if (outcome === "success") {
      host.successes++;
      host.isRefusalTold = false;
      host.errors = 0;
      host.gatewayErrors = 0;
      host.connectFailures = 0;
      return;
    }
    host.failures++;
    host.errors++;
    host.gatewayErrors = outcome === "error" ? 0 : host.gatewayErrors + 1;
    host.connectFailures = outcome === "connect-failure" ? host.connectFailures + 1 : 0;
    if (host.isEjected) return;
    const cause = this.#consecutiveCause(host);
    if (cause !== undefined) this.#eject(host, cause, nowMs);
  }

  /** Ends ejections and judges intervals that are over. Cheap when nothing is due: ask before every choice. */
  sweep(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    if (nowMs >= this.#sweepMs) {
      this.#judgeInterval(nowMs);
      this.#sweepMs = nowMs + this.#settings.intervalMs;
    }
    // After the judgement: an interval spent outside is no good interval.
    for (const host of this.#hosts) if (host.isEjected && nowMs >= host.ejectedUntilMs) this.#return(host);
    this.#dueMs = Math.min(this.#sweepMs, ...this.#ejectionEnds());
  }

  /** Lets everybody back: the policy is gone. */
  clear(): void {
    for (const host of this.#hosts) if (host.isEjected) this.#return(host);
  }

  /** Others have left: as many of those that are ejected come back as must be kept, the one that is next to return first. */
  #keepEnough(): void {
    let left = this.#hosts.filter(({ isEjected, isOut }) => !isEjected && !isOut).length;
    const ejected = this.#hosts.filter(({ isEjected, isOut }) => isEjected && !isOut);
    for (const host of ejected.sort((a, b) => a.ejectedUntilMs - b.ejectedUntilMs)) {
      if (left++ >= Math.max(1, this.#settings.keepAtLeast)) return;
      this.#return(host);
    }
  }

  #consecutiveCause(host: OutlierHost): EjectionCause | undefined {
    const { consecutiveErrors, consecutiveGatewayErrors, consecutiveConnectFailures } = this.#settings;
    if (reaches(host.connectFailures, consecutiveConnectFailures)) return "consecutive-connect-failures";
    if (reaches(host.gatewayErrors, consecutiveGatewayErrors)) return "consecutive-gateway-errors";
    if (reaches(host.errors, consecutiveErrors)) return "consecutive-errors";
    return undefined;
  }

  #judgeInterval(nowMs: number): void {
    const { successRate, failurePercentage } = this.#settings;
    if (successRate !== undefined) this.#judgeSuccessRate(successRate, nowMs);
    if (failurePercentage !== undefined) this.#judgeFailures(failurePercentage, nowMs);
    for (const host of this.#hosts) {
      host.successes = 0;
      host.failures = 0;
      if (!host.isEjected && host.ejections > 0) host.ejections--;
    }
  }

  #judgeSuccessRate(rule: NonNullable<OutlierSettings["successRate"]>, nowMs: number): void {
    const judged = this.#judgeable(rule.minRequests);
    if (judged.length < Math.max(1, rule.minHosts)) return;
    const rates = judged.map(successShare);
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
    const bound = mean - Math.sqrt(variance) * rule.stdevFactor;
    for (const host of judged) if (successShare(host) < bound) this.#eject(host, "success-rate", nowMs);
  }

  #judgeFailures(rule: NonNullable<OutlierSettings["failurePercentage"]>, nowMs: number): void {
    const judged = this.#judgeable(rule.minRequests);
    if (judged.length < Math.max(1, rule.minHosts)) return;
    for (const host of judged) {
      if ((1 - successShare(host)) * 100 >= rule.threshold) this.#eject(host, "failure-percentage", nowMs);
    }
  }

  #judgeable(minRequests: number): OutlierHost[] {
    const enough = Math.max(1, minRequests);
    return this.#hosts.filter((host) => !host.isEjected && host.successes + host.failures >= enough);
  }

  #eject(host: OutlierHost, cause: EjectionCause, nowMs: number): void {
    if (host.isEjected || !this.#hosts.includes(host)) return;
    // The counters begin anew either way: a refused ejection is told once per row of failures, not per failure.
    host.errors = 0;
    host.gatewayErrors = 0;
    host.connectFailures = 0;
    const left = this.#hosts.filter((other) => other !== host && !other.isEjected && !other.isOut).length;
    if (left < Math.max(1, this.#settings.keepAtLeast)) {
      this.#listener.onRefused(host, cause, host.isRefusalTold);
      host.isRefusalTold = true;
      return;
    }
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.#settings;
    // Past the cap a count says nothing, and would only take longer to be forgotten.
    if (host.ejections === 0 || baseEjectionTimeMs * host.ejections < maxEjectionTimeMs) host.ejections++;
    const forMs = Math.min(baseEjectionTimeMs * host.ejections, Math.max(baseEjectionTimeMs, maxEjectionTimeMs));
    host.isRefusalTold = false;
    host.isEjected = true;
    host.cause = cause;
    host.ejectedUntilMs = nowMs + forMs;
    this.#dueMs = Math.min(this.#dueMs, host.ejectedUntilMs);
    this.#listener.onEjected(host, cause, forMs);
  }

  #return(host: OutlierHost): void {
    host.isEjected = false;
    host.cause = "";
    host.ejectedUntilMs = 0;
    host.successes = 0;
    host.failures = 0;
    this.#listener.onReturned(host);
  }

  #ejectionEnds(): number[] {
    return this.#hosts.filter(({ isEjected }) => isEjected).map(({ ejectedUntilMs }) => ejectedUntilMs);
  }
}

function reaches(count: number, threshold: number): boolean {
  return threshold > 0 && count >= threshold;
}

function successShare({ successes, failures }: OutlierHost): number {
  return successes / (successes + failures);
}
