// The numbers that docs/sidecar.md gives for file descriptors, at each bound and one past it.
import { expect, test } from "vitest";
import { SocketBudget } from "./socket-budget.ts";

test.each([
  [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  [4_096, 3_968, 1_984],
  [161, 33, 16],
  [160, 32, 16],
  [100, 32, 16],
  [0, 32, 16],
])("of %d descriptors %d are for sockets, and %d for clients", (descriptors, sockets, clients) => {
  const { socketsMax, clientsMax } = new SocketBudget(descriptors);
  expect([socketsMax, clientsMax]).toEqual([sockets, clients]);
});

test("clients get their half and no more; endpoints what is left", () => {
  const budget = new SocketBudget(228);
  budget.clients = 49;
  expect(budget.takesClient).toBe(true);
  budget.clients = 50;
  expect(budget.takesClient).toBe(false);
  budget.endpoints = 49;
  expect(budget.takesEndpoint).toBe(true);
  budget.endpoints = 50;
  expect(budget.takesEndpoint).toBe(false);
  budget.clients = 20;
  expect([budget.takesClient, budget.takesEndpoint]).toEqual([true, true]);
});
