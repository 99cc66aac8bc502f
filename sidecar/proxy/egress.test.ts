// Clusters of hosts outside of the mesh are bounded, because the app chooses the hosts: the least recently called one goes
// first, and none that has requests.
import { afterEach, expect, test } from "vitest";
import { EgressClusters, type EgressEntry } from "./egress.ts";
import { cleanUp, createPath } from "./testing/rig.ts";

afterEach(cleanUp);

const HOSTS_MAX = 256;

/** Tells the cluster of a host, and makes it where there is none. */
async function clusters(): Promise<(host: number) => EgressEntry["cluster"]> {
  const { snapshots } = await createPath();
  const egress = new EgressClusters();
  return (host) => {
    const entry = egress.entryFor(`10.0.${host >> 8}.${host & 255}`, false, snapshots.current);
    if (entry === undefined) throw new Error(`host ${host} has no cluster`);
    return entry.cluster;
  };
}

test("as many hosts as there may be keep their clusters; one more takes the place of the least recently called", async () => {
  const clusterOf = await clusters();
  const first = Array.from({ length: HOSTS_MAX }, (_, host) => clusterOf(host));
  for (const [host, cluster] of first.entries()) expect(clusterOf(host)).toBe(cluster);
  expect(clusterOf(0)).toBe(first[0]);
  clusterOf(HOSTS_MAX);
  expect(clusterOf(0)).toBe(first[0]);
  expect(clusterOf(1)).not.toBe(first[1]);
});

test("a host with requests keeps its cluster; those above the bound go as soon as they have none", async () => {
  const clusterOf = await clusters();
  const busy = Array.from({ length: HOSTS_MAX + 44 }, (_, host) => {
    const cluster = clusterOf(host);
    cluster.state.activeRequests++;
    return cluster;
  });
  for (const [host, cluster] of busy.entries()) expect(clusterOf(host)).toBe(cluster);
  for (const { state } of busy) state.activeRequests--;
  clusterOf(1_000);
  const kept = busy.slice(45);
  expect(kept).toHaveLength(HOSTS_MAX - 1);
  for (const [index, cluster] of kept.entries()) expect(clusterOf(45 + index)).toBe(cluster);
  expect(clusterOf(44)).not.toBe(busy[44]);
});
