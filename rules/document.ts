// The documents that people write, after validation: the Kubernetes object form with its kind's spec.
// Not compiled resources (resource.ts): here the fields are still the user's own.
import { type DocumentKey, qualifiedName } from "./diagnostic.ts";

export interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** RFC 3339; kept as given. */
  readonly creationTimestamp?: string;
}

/** A validated document. `spec` has the shape of its kind's schema, as written (no defaults filled in). */
export interface Document<Spec = unknown> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: Spec;
  /** What the control plane wrote about it (rollout-status.ts); of documents as people write them it is dropped. */
  readonly status?: unknown;
}

export function documentKey(document: Document): DocumentKey {
  return { kind: document.kind, namespace: document.metadata.namespace, name: document.metadata.name };
}

/** `HTTPRoute default/orders`: how a document is named in messages, resources and screens. */
export function documentTitle(key: DocumentKey): string {
  return `${key.kind} ${qualifiedName(key.namespace, key.name)}`;
}
