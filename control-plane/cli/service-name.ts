// Services as people name them on a command line.

export interface ServiceName {
  readonly name: string;
  readonly namespace: string;
}

/** `orders`, `orders.shop`, `shop/orders`; a bare name is of the given namespace (empty: of any). */
export function parseServiceName(text: string, namespace: string): ServiceName {
  const slash = text.indexOf("/");
  if (slash > 0) return { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
  const [name = "", ownNamespace] = text.split(".");
  return { name, namespace: ownNamespace ?? namespace };
}
