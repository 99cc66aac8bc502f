// Stored documents as rows of a listing and as the text that a person applied.
import type { Document } from "../../proto/gen/weft/v1/rules.ts";
import { type KeyView, keyView } from "./key.ts";

export interface DocumentView extends KeyView {
  readonly apiVersion: string;
  /** What it acts on, in a few words: the services of a route, the ports of a service. */
  readonly target: string;
  readonly revision: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** The document as applied. */
  readonly body: Readonly<Record<string, unknown>>;
}

export function documentView(document: Document): DocumentView {
  const key = keyView(document.key);
  const body = parseObject(document.body);
  return {
    ...key,
    apiVersion: document.apiVersion,
    target: targetOf(key.kind, record(body["spec"])),
    revision: document.revision,
    createdAtMs: document.createdAtMs,
    updatedAtMs: document.updatedAtMs,
    body: inReadingOrder(body),
  };
}

/** By kind, namespace and name, as every listing shows them. */
export function byKey(a: KeyView, b: KeyView): number {
  return compare(a.kind, b.kind) || compare(a.namespace, b.namespace) || compare(a.name, b.name);
}

/** The store keeps keys sorted; people expect a document to begin with what it is. */
export function inReadingOrder(body: unknown): Readonly<Record<string, unknown>> {
  const { apiVersion, kind, metadata, spec, ...rest } = record(body);
  const { name, namespace, ...labels } = record(metadata);
  return dropUndefined({
    apiVersion,
    kind,
    metadata: dropUndefined({ name, namespace, ...labels }),
    spec,
    ...rest,
  });
}

function targetOf(kind: string, spec: Readonly<Record<string, unknown>>): string {
  const references = [spec["targetRef"], ...list(spec["targetRefs"]), ...list(spec["parentRefs"])];
  const names = references.map((reference) => serviceText(record(reference))).filter((name) => name !== "");
  if (names.length > 0) return names.join(",");
  if (kind === "Rollout") return `${text(spec["stable"])} -> ${text(spec["canary"])}`;
  if (kind === "Service") return portsText(spec);
  return "";
}

function serviceText(reference: Readonly<Record<string, unknown>>): string {
  const namespace = text(reference["namespace"]);
  const port = reference["port"] === undefined ? "" : `:${text(reference["port"])}`;
  return `${namespace === "" ? "" : `${namespace}/`}${text(reference["name"])}${port}`;
}

function portsText(spec: Readonly<Record<string, unknown>>): string {
  const ports = list(spec["ports"]).map(record);
  if (ports.length === 0) return "80/http";
  return ports.map((port) => `${text(port["port"])}/${text(port["protocol"]) || "http"}`).join(",");
}

function parseObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  return body.length === 0 ? {} : record(JSON.parse(new TextDecoder().decode(body)));
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function dropUndefined(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
