// Probes the endpoints of one service, each by its own jittered clock, so that neither the endpoints of a sidecar nor
// the sidecars of a mesh are probed in step. Says what it found through ActiveHealth; who uses that is not its business.
import type { HostPort } from "../../../runtime/address.ts";
import type { Clock, Timer } from "../../../runtime/clock.ts";
import type { Random } from "../../../runtime/random.ts";
import type { SocketBudget } from "../../../runtime/socket-budget.ts";
import type { ActiveHealth, HealthThresholds } from "./active-health.ts";
import { buildProbe, type Probe, type ProbeKind } from "./probe.ts";

export interface HealthCheckSettings extends HealthThresholds {
  readonly kind: ProbeKind;
  /** 0: the endpoint's own. */
  readonly port: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Each interval is this much longer or shorter. */
  readonly jitterPercent: number;
}

/** An endpoint that is probed. */
export interface ProbedHost {
  readonly target: HostPort;
  readonly active: ActiveHealth;
}

interface HealthCheckTools<Host extends ProbedHost> {
  readonly clock: Clock;
  readonly random: Random;
  /** Each probe takes a socket of it. */
  readonly sockets: SocketBudget;
  /** Its health changed between usable and not. */
  onChange(host: Host): void;
  /** Every probe, for the figures. */
  onProbe(host: Host, error: string): void;
}

/** The first probe of an endpoint comes within this share of the interval. */
const FIRST_PROBE_SHARE = 0.1;

export class HealthChecker<Host extends ProbedHost> {
  readonly #settings: HealthCheckSettings;
  readonly #tools: HealthCheckTools<Host>;
  readonly #probe: Probe;
  readonly #running = new Map<Host, { stop(): void }>();

  constructor(settings: HealthCheckSettings, tools: HealthCheckTools<Host>) {
    this.#settings = settings;
    this.#tools = tools;
    this.#probe = buildProbe(settings.kind, settings.timeoutMs, tools.clock);
  }

  /** The endpoints there are from now on; those that left are probed no more. */
  setHosts(hosts: Iterable<Host>): void {
    const wanted = new Set(hosts);
    for (const [host, run] of this.#running) {
      if (wanted.has(host)) continue;
      run.stop();
      this.#running.delete(host);
    }
    for (const host of wanted) if (!this.#running.has(host)) this.#running.set(host, this.#start(host));
  }

  /** Stops all probing. */
  close(): void {
    this.setHosts([]);
  }

  #start(host: Host): { stop(): void } {
    const { clock, random, sockets } = this.#tools;
    const { intervalMs, port } = this.#settings;
    const target = port === 0 ? host.target : { host: host.target.host, port };
    let abandon = (): void => {};
    let timer: Timer = clock.after(random.next() * intervalMs * FIRST_PROBE_SHARE, () => probe());
    const probe = (): void => {
      // One that could not be sent says nothing about the endpoint: the next one may.
      if (!sockets.makeRoom()) {
        timer = clock.after(this.#nextDelayMs(), probe);
        return;
      }
      sockets.endpoints++;
      let isCounted = true;
      const giveBack = (): void => {
        if (isCounted) sockets.endpoints--;
        isCounted = false;
      };
      const stop = this.#probe(target, (error, isLocal) => {
        giveBack();
        // Armed before anybody is told, so that a listener that stops the checks finds the timer.
        timer = clock.after(this.#nextDelayMs(), probe);
        if (!isLocal) this.#record(host, error);
      });
      abandon = () => {
        stop();
        giveBack();
      };
    };
    return {
      stop: () => {
        timer.cancel();
        abandon();
      },
    };
  }

  #record(host: Host, error: string): void {
    this.#tools.onProbe(host, error);
    if (host.active.record(error, this.#settings)) this.#tools.onChange(host);
  }

  #nextDelayMs(): number {
    const { intervalMs, jitterPercent } = this.#settings;
    return intervalMs * (1 + ((2 * this.#tools.random.next() - 1) * jitterPercent) / 100);
  }
}
