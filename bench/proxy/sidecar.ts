// The sidecar's data path as a process of the benchmark: an outbound listener with everything on that a real one has
// (1,000 routes, a weighted split, least-request, retries armed, metrics), in front of the endpoint given as argument.
//   node sidecar.ts ENDPOINT_PORT full|bare

import { compileMesh, compileService, indexDocuments, serviceNames } from "../../rules/compile.ts";
import { compileEndpoints } from "../../rules/endpoints.ts";
import { loadDocuments } from "../../rules/load.ts";
import { type Resource, resourceName } from "../../rules/resource.ts";
import { systemClock } from "../../runtime/clock.ts";
import { silentLog } from "../../runtime/log.ts";
import { systemRandom } from "../../runtime/random.ts";
import { createDataPath } from "../../sidecar/proxy/data-path.ts";
import { startOutbound } from "../../sidecar/proxy/outbound.ts";
import { buildSnapshot } from "../../sidecar/snapshot.ts";

const [endpointPort = "", features = "full"] = process.argv.slice(2);
const ROUTES = 1_000;

function documents(): string {
  const endpoint = `{ address: "127.0.0.1:${endpointPort}" }`;
  const service = (name: string): string =>
    `apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { endpoints: [${endpoint}] }\n---\n`;
  if (features === "bare") return service("bench");
  const rules = Array.from(
    { length: ROUTES },
    (_, index) =>
      `    - matches: [{ path: { type: PathPrefix, value: /api/v1/resource-${index} } }]\n      backendRefs: [{ name: bench-v1, port: 80 }]\n`,
  ).join("");
  return `${service("bench")}${service("bench-v1")}${service("bench-v2")}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: bench }
spec:
  parentRefs: [{ group: "", kind: Service, name: bench }]
  rules:
${rules}
    - backendRefs: [{ name: bench-v1, port: 80, weight: 95 }, { name: bench-v2, port: 80, weight: 5 }]
      retry: { attempts: 2, codes: [502, 503, 504] }
`;
}

const path = await createDataPath({
  clock: systemClock,
  random: systemRandom,
  log: silentLog(),
  namespace: "default",
  service: "default/bench-client",
});
const loaded = loadDocuments([{ name: "bench.yaml", content: documents() }], { defaultNamespace: "default" });
if (loaded.diagnostics.length > 0) throw new Error(JSON.stringify(loaded.diagnostics.slice(0, 3)));
const index = indexDocuments(
  loaded.documents.map(({ document }) => document),
  new Set(),
);
const resources = new Map<string, Resource>();
const add = (resource: Resource | undefined): void => {
  if (resource !== undefined) resources.set(resourceName(resource), resource);
};
for (const service of serviceNames(index)) {
  add(compileService(index, service));
  add(compileEndpoints(index, service, []));
}
add(compileMesh(index));
path.snapshots.swap(buildSnapshot(path.snapshots.current, resources, 1));
const listener = await startOutbound({ path, listen: { host: "127.0.0.1", port: 0 } });
console.log(JSON.stringify({ port: Number(listener.address.split(":").pop()) }));
process.on("disconnect", () => process.exit(0));
