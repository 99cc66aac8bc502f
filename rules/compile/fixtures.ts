// Short ways to write documents in tests. Not used by the product.
import type { Document } from "../document.ts";

export function document(
  kind: string,
  name: string,
  spec: unknown,
  metadata: Partial<Document["metadata"]> = {},
): Document {
  const group = kind.endsWith("Route") ? "gateway.networking.k8s.io/v1" : "weft.mesh/v1";
  return { apiVersion: group, kind, metadata: { name, namespace: "default", ...metadata }, spec };
}

export const parentOrders = { group: "", kind: "Service", name: "orders" };

/** What exists because `orders` runs in two versions. */
export const IMPLIED: ReadonlySet<string> = new Set(["default/orders", "default/orders-v1", "default/orders-v2"]);
