// Subscribing on first use: answers, limits, and what is remembered.
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import type { Resolution } from "../resolver.ts";
import { RESOLVE_TIMEOUT_MS } from "./limits.ts";
import { Subscriptions } from "./subscriptions.ts";

function setUp(limits: { unconfirmedMax?: number; subscriptionsMax?: number } = {}) {
  const clock = new ManualClock();
  const held = new Set<string>();
  const sent: string[] = [];
  const connection = { open: true };
  const subscriptions = new Subscriptions({
    clock,
    holdsService: (service) => held.has(service),
    isConnected: () => connection.open,
    send: (add, remove) => sent.push(...add.map((name) => `+${name}`), ...remove.map((name) => `-${name}`)),
    ...limits,
  });
  const ask = (service: string): Resolution[] => {
    const answers: Resolution[] = [];
    subscriptions.resolve(service, (resolution) => answers.push(resolution));
    return answers;
  };
  const exists = (service: string): void => {
    held.add(service);
    subscriptions.settle([`service:${service}`, `endpoints:${service}`], []);
  };
  const missing = (service: string): void => {
    held.delete(service);
    subscriptions.settle([], [`service:${service}`, `endpoints:${service}`]);
  };
  return { clock, held, sent, connection, subscriptions, ask, exists, missing };
}

/** Lets the callbacks run, which are never called synchronously. */
const settled = () => Promise.resolve();

describe("asking for a service that the snapshot does not hold", () => {
  test("subscribes once and answers everyone who asked meanwhile", async () => {
    const { ask, sent, exists } = setUp();
    const first = ask("default/orders");
    const second = ask("default/orders");
    expect(sent).toEqual(["+default/orders"]);
    exists("default/orders");
    expect(first, "not synchronously").toEqual([]);
    await settled();
    expect([first, second]).toEqual([["known"], ["known"]]);
  });

  test("says unknown when the control plane does, and goes on saying it without asking again", async () => {
    const { ask, sent, missing, clock } = setUp();
    const first = ask("default/nobody");
    missing("default/nobody");
    await settled();
    const second = ask("default/nobody");
    await settled();
    expect([first, second]).toEqual([["unknown"], ["unknown"]]);
    expect(sent).toEqual(["+default/nobody"]);
    expect(clock.pendingCount, "timers left").toBe(0);
  });

  test("an unknown service becomes known when it comes to exist, since the subscription stayed", async () => {
    const { ask, missing, exists, subscriptions } = setUp();
    ask("default/late");
    missing("default/late");
    exists("default/late");
    const later = ask("default/late");
    await settled();
    expect(later).toEqual(["known"]);
    expect(subscriptions.knownNames()).toEqual(["default/late"]);
  });

  test("answers unavailable after one second, not before, and takes a later answer", async () => {
    const { ask, clock, exists } = setUp();
    const first = ask("default/slow");
    clock.advance(RESOLVE_TIMEOUT_MS - 1);
    await settled();
    expect(first).toEqual([]);
    clock.advance(1);
    await settled();
    expect(first).toEqual(["unavailable"]);
    const second = ask("default/slow");
    exists("default/slow");
    await settled();
    expect([first, second]).toEqual([["unavailable"], ["known"]]);
  });

  test("does not hold request after request while nobody is there to answer", async () => {
    const { ask, clock, connection } = setUp();
    connection.open = false;
    ask("default/orders");
    clock.advance(RESOLVE_TIMEOUT_MS);
    const second = ask("default/orders");
    await settled();
    expect(second).toEqual(["unavailable"]);
  });

  test("a known service that is deleted is unknown from then on", async () => {
    const { ask, exists, missing, sent } = setUp();
    ask("default/orders");
    exists("default/orders");
    missing("default/orders");
    const later = ask("default/orders");
    await settled();
    expect(later).toEqual(["unknown"]);
    expect(sent).toEqual(["+default/orders"]);
  });

  test("a resource that is only a backend of another service changes no subscription", () => {
    const { exists, missing, subscriptions } = setUp();
    exists("default/orders-v2");
    missing("default/orders-v2");
    expect(subscriptions.names()).toEqual([]);
  });
});

describe("bounds", () => {
  test("the unknown name asked for longest ago is given up past the limit", async () => {
    const { ask, sent, missing, subscriptions } = setUp({ unconfirmedMax: 2 });
    for (const name of ["default/a", "default/b"]) {
      ask(name);
      missing(name);
    }
    ask("default/a"); // used again: b is now the oldest
    ask("default/c");
    await settled();
    expect(sent).toEqual(["+default/a", "+default/b", "+default/c", "-default/b"]);
    expect(subscriptions.names()).toEqual(["default/a", "default/c"]);
  });

  test("who waits for a name that is given up is told, and its timer goes", async () => {
    const { ask, clock } = setUp({ unconfirmedMax: 1 });
    const first = ask("default/a");
    ask("default/b");
    await settled();
    expect(first).toEqual(["unavailable"]);
    expect(clock.pendingCount).toBe(1);
  });

  test("known services are never given up: past their limit new names are refused", async () => {
    const { ask, exists, sent, subscriptions } = setUp({ subscriptionsMax: 2 });
    for (const name of ["default/a", "default/b"]) {
      ask(name);
      exists(name);
    }
    const third = ask("default/c");
    await settled();
    expect(third).toEqual(["unavailable"]);
    expect(subscriptions.names()).toEqual(["default/a", "default/b"]);
    expect(sent).not.toContain("+default/c");
  });

  test("ten thousand names that do not exist leave a thousand subscriptions and no timer", async () => {
    const { ask, missing, subscriptions, clock } = setUp();
    for (let index = 0; index < 10_000; index++) {
      ask(`default/ghost-${index}`);
      missing(`default/ghost-${index}`);
    }
    await settled();
    expect(subscriptions.names()).toHaveLength(1_000);
    expect(clock.pendingCount).toBe(0);
  });
});

test("subscriptions of an earlier run are taken over where their resources are still there", () => {
  const { held, subscriptions } = setUp();
  held.add("default/orders");
  subscriptions.restore(["default/orders", "default/gone"]);
  expect(subscriptions.names()).toEqual(["default/orders"]);
});
