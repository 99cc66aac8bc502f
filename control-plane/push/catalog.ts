// Compiled resources of one revision: each compiled, hashed and encoded once, however many sidecars get it, and
// only when one does. Knows which of them a change touches, so that the rest are left alone.
import type { Resource as WireResource } from "../../proto/gen/weft/v1/discovery.ts";
import { canonicalJson, contentHash } from "../../rules/canonical.ts";
import {
  compileInbound,
  compileMesh,
  compileService,
  indexDocuments,
  type RuleIndex,
  servicesUsedBy,
} from "../../rules/compile.ts";
import type { Document } from "../../rules/document.ts";
import {
  compileEndpoints,
  impliedServices,
  impliedVersions,
  servicesOf,
  type WorkloadFacts,
} from "../../rules/endpoints.ts";
import type { Resource } from "../../rules/resource.ts";
import { ABSENT } from "./sidecar-queue.ts";

/** Documents by title, as the rulebook holds them. */
export type Documents = ReadonlyMap<string, { readonly document: Document }>;

/** Who is alive, and who was lately: the services of the latter still exist, without endpoints. */
export interface Population {
  readonly live: readonly WorkloadFacts[];
  readonly known: readonly WorkloadFacts[];
}

interface CompiledService {
  /** Undefined when the service does not exist; remembered too, because somebody asked for it. */
  readonly wire: WireResource | undefined;
  /** Services that it sends requests to. */
  readonly uses: readonly string[];
}

export class Catalog {
  #revision: number;
  #documents: Documents;
  /** Live workloads by namespace: endpoints of a service are looked for in its own namespace only. */
  #workloads: ReadonlyMap<string, readonly WorkloadFacts[]>;
  #implied: ReadonlySet<string>;
  #versionOf: ReadonlyMap<string, string>;
  #index: RuleIndex;
  readonly #services = new Map<string, CompiledService>();
  readonly #inbounds = new Map<string, WireResource>();
  readonly #endpoints = new Map<string, WireResource>();
  #mesh: WireResource | undefined;

  constructor(revision: number, documents: Documents, { live, known }: Population) {
    this.#revision = revision;
    this.#documents = documents;
    this.#workloads = Map.groupBy(live, ({ namespace }) => namespace);
    this.#implied = impliedServices(known);
    this.#versionOf = impliedVersions(known);
    this.#index = this.#newIndex();
  }

  /** Revision of the documents that the resources are compiled from. */
  get revision(): number {
    return this.#revision;
  }

  /** How many compiled resources are kept. */
  get size(): number {
    return this.#services.size + this.#inbounds.size + this.#endpoints.size;
  }

  /** The encoded resource; undefined when there is none of that name. */
  resource(name: string): WireResource | undefined {
    const colon = name.indexOf(":");
    const service = name.slice(colon + 1);
    switch (name.slice(0, Math.max(0, colon))) {
      case "service":
        return this.#service(service).wire;
      case "inbound":
        return this.#inbound(service);
      case "endpoints":
        return this.#endpointsOf(service);
      default:
        return name === "mesh" ? this.#meshResource() : undefined;
    }
  }

  /**
   * Everything that a sidecar needs, with versions: the mesh, what its own service and its version enforce, and the services it
   * uses with all that they lead to, so that nothing it holds refers to what it does not hold. Services that do
   * not exist are ABSENT.
   */
  targetOf(ownServices: readonly string[], subscriptions: Iterable<string>): Map<string, string> {
    const target = new Map<string, string>();
    target.set("mesh", this.#meshResource().version);
    for (const own of ownServices) target.set(`inbound:${own}`, this.#inbound(own).version);
    const waiting = [...subscriptions];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (target.has(`service:${name}`)) continue;
      const { wire, uses } = this.#service(name);
      target.set(`service:${name}`, wire?.version ?? ABSENT);
      if (wire === undefined) continue;
      target.set(`endpoints:${name}`, this.#endpointsOf(name).version);
      waiting.push(...uses);
    }
    return target;
  }

  /**
   * Moves on to the documents of `revision`. `changed` are the documents that differ, as they were and as they are.
   * @returns names of the resources in use that are different now.
   */
  setDocuments(revision: number, documents: Documents, changed: readonly Document[]): Set<string> {
    this.#revision = revision;
    this.#documents = documents;
    this.#index = this.#newIndex();
    const different = new Set<string>();
    const { services, targets } = this.#touchedBy(changed);
    for (const name of targets) this.#refreshService(name, different);
    for (const name of services) this.#refreshEndpoints(name, different);
    if (changed.some(({ kind }) => kind === "Mesh")) this.#refreshMesh(different);
    return different;
  }

  /**
   * Moves on to other workloads. `changed` are all that came, went or say something new, as they were and are.
   * @returns names of the resources in use that are different now.
   */
  setWorkloads({ live, known }: Population, changed: readonly WorkloadFacts[]): Set<string> {
    this.#workloads = Map.groupBy(live, ({ namespace }) => namespace);
    const different = new Set<string>();
    this.#refreshImplied(known, different);
    for (const service of this.#servicesSelecting(changed)) this.#refreshEndpoints(service, different);
    return different;
  }

  /** Forgets compiled resources that are not among `names`. */
  retain(names: ReadonlySet<string>): void {
    for (const service of this.#services.keys()) if (!names.has(`service:${service}`)) this.#services.delete(service);
    for (const service of this.#inbounds.keys()) if (!names.has(`inbound:${service}`)) this.#inbounds.delete(service);
    for (const service of this.#endpoints.keys())
      if (!names.has(`endpoints:${service}`)) this.#endpoints.delete(service);
  }

  #newIndex(): RuleIndex {
    const documents = Array.from(this.#documents.values(), ({ document }) => document);
    return indexDocuments(documents, this.#implied, this.#versionOf);
  }

  /** Asks an index of the changed documents alone where they were filed: cheap, however many others there are. */
  #touchedBy(changed: readonly Document[]): { services: Set<string>; targets: Set<string> } {
    const index = indexDocuments(changed, new Set());
    const services = new Set(index.services.keys());
    const targets = new Set(
      [services, index.routes, index.policies, index.inbound, index.rollouts].flatMap((map) => [...map.keys()]),
    );
    // A version without a policy of its own goes by the policy of its service.
    for (const [version, whole] of this.#versionOf) if (targets.has(whole)) targets.add(version);
    return { services, targets };
  }

  /** Services that exist because a workload says so. */
  #refreshImplied(known: readonly WorkloadFacts[], different: Set<string>): void {
    const implied = impliedServices(known);
    const versionOf = impliedVersions(known);
    const names = new Set<string>();
    for (const name of [...implied, ...this.#implied]) {
      const isSame = implied.has(name) && this.#implied.has(name) && versionOf.get(name) === this.#versionOf.get(name);
      if (!isSame) names.add(name);
    }
    if (names.size === 0) return;
    this.#implied = implied;
    this.#versionOf = versionOf;
    // How documents are filed does not depend on what is implied.
    this.#index = { ...this.#index, implied, versionOf };
    for (const name of names) this.#refreshService(name, different);
  }

  #refreshService(service: string, different: Set<string>): void {
    const before = this.#services.get(service);
    if (before !== undefined) {
      this.#services.delete(service);
      if (this.#service(service).wire?.version !== before.wire?.version) different.add(`service:${service}`);
    }
    const inbound = this.#inbounds.get(service);
    if (inbound === undefined) return;
    this.#inbounds.delete(service);
    if (this.#inbound(service).version !== inbound.version) different.add(inbound.name);
  }

  #refreshMesh(different: Set<string>): void {
    const before = this.#mesh;
    this.#mesh = undefined;
    if (before !== undefined && this.#meshResource().version !== before.version) different.add("mesh");
  }

  #refreshEndpoints(service: string, different: Set<string>): void {
    const before = this.#endpoints.get(service);
    if (before === undefined) return;
    this.#endpoints.delete(service);
    if (this.#endpointsOf(service).version !== before.version) different.add(before.name);
  }

  /** Services whose endpoints may be among `workloads`: the implied ones, and those with a selector. */
  #servicesSelecting(workloads: readonly WorkloadFacts[]): Set<string> {
    const services = new Set(workloads.flatMap(servicesOf));
    const namespaces = new Set(workloads.map(({ namespace }) => namespace));
    for (const [service, { metadata, spec }] of this.#index.services)
      if (spec.selector !== undefined && namespaces.has(metadata.namespace)) services.add(service);
    return services;
  }

  #meshResource(): WireResource {
    this.#mesh ??= encode(compileMesh(this.#index), "mesh");
    return this.#mesh;
  }

  #service(service: string): CompiledService {
    return cached(this.#services, service, () => {
      const resource = compileService(this.#index, service);
      if (resource === undefined) return { wire: undefined, uses: [] };
      return { wire: encode(resource, `service:${service}`), uses: servicesUsedBy(resource) };
    });
  }

  #inbound(service: string): WireResource {
    return cached(this.#inbounds, service, () => encode(compileInbound(this.#index, service), `inbound:${service}`));
  }

  #endpointsOf(service: string): WireResource {
    return cached(this.#endpoints, service, () => {
      const workloads = this.#workloads.get(service.slice(0, service.indexOf("/"))) ?? [];
      return encode(compileEndpoints(this.#index, service, workloads), `endpoints:${service}`);
    });
  }
}

function cached<Value>(cache: Map<string, Value>, key: string, make: () => Value): Value {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = make();
  cache.set(key, made);
  return made;
}

function encode(resource: Resource, name: string): WireResource {
  const text = canonicalJson(resource);
  return { name, version: contentHash(text), body: Buffer.from(text) };
}
