// Hosts outside of the mesh that `Mesh.spec.egress.allow` lets through: which ones, and the clusters that stand for
// them. Made when a host is first called; their number is bounded.

import { compilePolicy } from "../../rules/compile/policy.ts";
import { type EgressVerdict, egressVerdict } from "../../rules/egress.ts";
import { parseHostPort } from "../../runtime/address.ts";
import { buildCluster, type Cluster, settleCluster } from "../cluster.ts";
import { EGRESS_SERVICE } from "../observe/metrics.ts";
import type { Snapshot } from "../snapshot.ts";
import type { SeriesSource } from "./destination.ts";

/** Clusters kept; more only while all of them have requests. */
const HOSTS_MAX = 256;
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
/** A host is one endpoint: there is nobody to go to instead. */
const POLICY = { ...compilePolicy(undefined), outlierDetection: undefined };

/**
 * What `Mesh.spec.egress.allow` says of an authority.
 * @param authority host or host:port, as the decoder checked it
 */
export function egressOf(allow: readonly string[], authority: string, isConnect: boolean): EgressVerdict {
  if (allow.length === 0) return "denied";
  const address = withPort(authority, isConnect);
  const colon = address.lastIndexOf(":");
  return egressVerdict(allow, address.slice(0, colon), Number(address.slice(colon + 1)));
}

export interface EgressEntry {
  readonly source: SeriesSource;
  readonly cluster: Cluster;
}

export class EgressClusters {
  /** Least recently used first. */
  readonly #entries = new Map<string, EgressEntry>();
  readonly #source: SeriesSource = { service: EGRESS_SERVICE, series: new Map() };

  /** The cluster for a host; undefined when `authority` is no address. */
  entryFor(authority: string, isConnect: boolean, snapshot: Snapshot): EgressEntry | undefined {
    const address = withPort(authority, isConnect);
    let entry = this.#entries.get(address);
    if (entry === undefined) {
      if (parseHostPort(address) === undefined) return undefined;
      const endpoint = {
        id: address,
        address,
        addresses: {},
        weight: 1,
        zone: "",
        version: "",
        labels: {},
        mesh: false,
      };
      const cluster = buildCluster(EGRESS_SERVICE, POLICY, [endpoint], undefined, snapshot.tools);
      entry = { source: this.#source, cluster };
      this.#evict();
    } else this.#entries.delete(address);
    this.#entries.set(address, entry);
    return entry;
  }

  /** Makes room for one more. Hosts with requests stay, so there may be more of them for a while. */
  #evict(): void {
    for (const [address, { cluster }] of this.#entries) {
      if (this.#entries.size < HOSTS_MAX) return;
      if (cluster.state.activeRequests > 0) continue;
      this.#entries.delete(address);
      settleCluster(cluster, undefined);
      this.#source.series.clear();
    }
  }
}

function withPort(authority: string, isConnect: boolean): string {
  const lower = authority.toLowerCase();
  if (lower.lastIndexOf(":") > lower.lastIndexOf("]")) return lower;
  return `${lower}:${isConnect ? HTTPS_PORT : HTTP_PORT}`;
}
