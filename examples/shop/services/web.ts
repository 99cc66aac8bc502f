// The shop's front: answers customers, asks `orders`. Run with a sidecar beside it.
import { readSettings, serve } from "./shop-service.ts";

serve("web", readSettings(process.env), async (_request, call) => {
  const orders = await call("orders", "/orders");
  return { status: orders.status === 200 ? 200 : 502, body: { orders: orders.body } };
});
