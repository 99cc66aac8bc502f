// The data path as the rest of the sidecar sees it: a snapshot that is swapped, listeners that are opened, drained and
// closed, figures that are read. What happens to a request is proxy/.
import type { TrafficCount } from "../proto/gen/weft/v1/discovery.ts";
import type { Resource } from "../rules/resource.ts";
import type { HostPort } from "../runtime/address.ts";
import { AccessLog, type LineSink } from "./access-log.ts";
import { renderPrometheus } from "./observe/exposition.ts";
import type { Histogram } from "./observe/histogram.ts";
import { createDataPath, type DataPath, type DataPathOptions } from "./proxy/data-path.ts";
import { startInbound } from "./proxy/inbound.ts";
import type { Listener } from "./proxy/listener.ts";
import { startOutbound } from "./proxy/outbound.ts";
import type { ServiceResolver } from "./resolver.ts";
import { buildSnapshot, type Snapshot } from "./snapshot.ts";

export class Traffic {
  readonly #path: DataPath;
  readonly #accessLog: AccessLog;
  #outbound: Listener | undefined;
  #inbound: Listener | undefined;

  private constructor(path: DataPath, stdout: LineSink) {
    this.#path = path;
    this.#accessLog = new AccessLog(stdout, path.clock, path.log);
    path.snapshots.onSwap((next, previous) => {
      if (next.mesh !== previous.mesh) path.accessLog = this.#accessLog.configure(next.mesh.accessLog);
    });
  }

  static async create(options: DataPathOptions, stdout: LineSink): Promise<Traffic> {
    return new Traffic(await createDataPath(options), stdout);
  }

  get snapshot(): Snapshot {
    return this.#path.snapshots.current;
  }

  /** Builds the next snapshot and swaps it in; throws, with everything as it was, when it cannot be built. */
  publish(resources: ReadonlyMap<string, Resource>, revision: number): void {
    const { snapshots } = this.#path;
    snapshots.swap(buildSnapshot(snapshots.current, resources, revision));
  }

  /** Who is asked for services that the snapshot does not hold. */
  setResolver(resolver: ServiceResolver): void {
    this.#path.resolver = resolver;
  }

  async openOutbound(listen: HostPort): Promise<string> {
    this.#outbound = await startOutbound({ listen, path: this.#path });
    return this.#outbound.address;
  }

  async openInbound(listen: HostPort, app: HostPort): Promise<string> {
    this.#inbound = await startInbound({ listen, path: this.#path, app });
    return this.#inbound.address;
  }

  /** Takes no more connections and resolves when those there are have ended, or were cut after `deadlineMs`. */
  async drainInbound(deadlineMs: number): Promise<void> {
    await this.#inbound?.drain(deadlineMs);
  }

  async drainOutbound(deadlineMs: number): Promise<void> {
    await this.#outbound?.drain(deadlineMs);
  }

  /** Requests of the app in progress. */
  outboundActive(): number {
    return this.#path.metrics.requestsActive.cell("outbound").value;
  }

  /** Requests of the app that have finished. */
  outboundTotal(): number {
    let total = 0;
    for (const { values, value } of this.#path.metrics.requests.cells.entries.values()) {
      if (values[0] === "outbound") total += value.value;
    }
    return total;
  }

  /** What this sidecar saw of the services that it called, since it started. */
  *counts(): Iterable<TrafficCount> {
    const { metrics } = this.#path;
    for (const { direction, service, backend, version, judged, failures, duration } of metrics.allSeries()) {
      if (direction === "inbound" || backend === "") continue;
      const key = { service, backend, version, route: "", mirror: false };
      yield { ...key, requests: judged, failures, latency: latencyCounts(duration) };
    }
    for (const { key, judged, failures, duration } of metrics.traffic.all()) {
      const { isMirror: mirror, ...rest } = key;
      yield { ...rest, mirror, requests: judged, failures, latency: latencyCounts(duration) };
    }
  }

  /** A release of a service that was called is under way. */
  isReleaseLive(): boolean {
    for (const { resource } of this.snapshot.services.values())
      if (resource.rules.some(({ split }) => split?.isLive === true)) return true;
    return false;
  }

  prometheus(): string {
    return renderPrometheus(this.#path.metrics);
  }

  async close(): Promise<void> {
    await Promise.all([this.#outbound?.close(), this.#inbound?.close()]);
    this.#accessLog.close();
  }
}

/** Without the zeros at the end. */
function latencyCounts({ counts }: Histogram): number[] {
  let length = counts.length;
  while (length > 0 && counts[length - 1] === 0) length--;
  return Array.from(counts.subarray(0, length));
}
