// Rule texts -> everything a stand-alone sidecar acts on, by the same loader and compiler that a control plane runs.
// Pure; there are no workloads here, so endpoints are those that Service documents list.
import { canonicalJson, contentHash } from "../../../rules/canonical.ts";
import { checkDocuments } from "../../../rules/check.ts";
import { compileInbound, compileMesh, compileService, indexDocuments, serviceNames } from "../../../rules/compile.ts";
import type { Diagnostic } from "../../../rules/diagnostic.ts";
import { compileEndpoints } from "../../../rules/endpoints.ts";
import { loadDocuments, type SourceText } from "../../../rules/load.ts";
import { type Resource, resourceName } from "../../../rules/resource.ts";
import type { IncomingResource } from "../configuration.ts";

export interface RuleSet {
  /** Empty when any diagnostic is an error. */
  readonly resources: readonly IncomingResource[];
  readonly documentCount: number;
  readonly diagnostics: readonly Diagnostic[];
}

/** @param own `namespace/name` of the services that the sidecar stands beside an instance of, at least one. */
export function compileRuleSet(sources: readonly SourceText[], own: readonly string[]): RuleSet {
  const namespace = own[0]?.slice(0, own[0].indexOf("/")) ?? "";
  const loaded = loadDocuments(sources, { defaultNamespace: namespace });
  const documents = loaded.documents.map(({ document }) => document);
  const impliedServices = new Set<string>();
  const findings = checkDocuments({ documents, changed: loaded.documents, impliedServices, ownServices: new Set(own) });
  const diagnostics = [...loaded.diagnostics, ...findings];
  const documentCount = documents.length;
  if (diagnostics.some(({ severity }) => severity === "error")) return { resources: [], documentCount, diagnostics };
  const index = indexDocuments(documents, impliedServices);
  const resources: Resource[] = [compileMesh(index), ...own.map((service) => compileInbound(index, service))];
  for (const service of serviceNames(index)) {
    const compiled = compileService(index, service);
    if (compiled !== undefined) resources.push(compiled, compileEndpoints(index, service, []));
  }
  return { resources: resources.map(incoming), documentCount, diagnostics };
}

function incoming(resource: Resource): IncomingResource {
  const body = canonicalJson(resource);
  return { name: resourceName(resource), version: contentHash(body), body };
}
