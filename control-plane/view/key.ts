// Names of documents as a person sees them.
import type { DocumentKey } from "../../proto/gen/weft/v1/rules.ts";

export interface KeyView {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export function keyView(key: DocumentKey | undefined): KeyView {
  return { kind: key?.kind ?? "", namespace: key?.namespace ?? "", name: key?.name ?? "" };
}

/** `HTTPRoute default/orders`. */
export function keyTitle(key: KeyView): string {
  return `${key.kind} ${key.namespace}/${key.name}`;
}
