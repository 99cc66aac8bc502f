// What a sidecar is sent, in which order, and what a refusal does: no stream, no clock.
import { describe, expect, it } from "vitest";
import { ABSENT, SidecarQueue } from "./sidecar-queue.ts";

const versions = (record: Record<string, string>) => new Map(Object.entries(record));
const refusal = (nonce: number, resource: string) => ({ nonce, resource, fieldPath: "rules[0]", reason: "no" });

/** A sidecar that is up to date with `held` at revision 1. */
function settled(held: Record<string, string>): SidecarQueue {
  const queue = new SidecarQueue(versions(held));
  const first = queue.next(versions(held), 1);
  queue.acknowledge(first?.nonce ?? 0, versions(held));
  return queue;
}

describe("a sidecar that connects", () => {
  it("gets what it lacks and loses what it should not hold", () => {
    const queue = new SidecarQueue(versions({ mesh: "1", "service:d/a": "old", "service:d/gone": "1" }));
    const delta = queue.next(versions({ mesh: "1", "service:d/a": "new", "endpoints:d/a": "e" }), 7);
    expect(delta).toMatchObject({ revision: 7, removed: ["service:d/gone"] });
    expect(delta?.put).toEqual(versions({ "service:d/a": "new", "endpoints:d/a": "e" }));
  });

  it("is told its revision even when nothing differs, once", () => {
    const queue = new SidecarQueue(versions({ mesh: "1" }));
    const target = versions({ mesh: "1" });
    const delta = queue.next(target, 7);
    expect(delta).toMatchObject({ revision: 7, removed: [], put: new Map() });
    queue.acknowledge(delta!.nonce, target);
    expect(queue.next(target, 8)).toBeUndefined();
    expect(queue.revision).toBe(8);
  });

  it("is told of a service that does not exist once, and gets it when it appears", () => {
    const queue = settled({ mesh: "1" });
    const absent = versions({ mesh: "1", "service:d/x": ABSENT });
    const delta = queue.next(absent, 2);
    expect(delta).toMatchObject({ removed: ["service:d/x"] });
    queue.acknowledge(delta!.nonce, absent);
    expect(queue.next(new Map(absent), 3)).toBeUndefined();
    const appeared = queue.next(versions({ mesh: "1", "service:d/x": "1" }), 4);
    expect(appeared?.put).toEqual(versions({ "service:d/x": "1" }));
  });
});

describe("one delta at a time", () => {
  it("waits for the answer and then sends only the newest state", () => {
    const queue = settled({ a: "1", b: "1" });
    const first = queue.next(versions({ a: "2", b: "1" }), 2);
    expect(queue.next(versions({ a: "3", b: "1" }), 3)).toBeUndefined();
    expect(queue.next(versions({ a: "4", b: "2" }), 4)).toBeUndefined();
    queue.acknowledge(first!.nonce, versions({ a: "4", b: "2" }));
    expect(queue.revision).toBe(2);
    const second = queue.next(versions({ a: "4", b: "2" }), 4);
    expect(second).toMatchObject({ revision: 4, put: versions({ a: "4", b: "2" }) });
  });

  it("sends nothing when a change was taken back meanwhile", () => {
    const queue = settled({ a: "1" });
    const first = queue.next(versions({ a: "2" }), 2);
    queue.acknowledge(first!.nonce, versions({ a: "2" }));
    expect(queue.next(versions({ a: "2" }), 4)).toBeUndefined();
    expect(queue.outcomeOf(4)).toBe("live");
  });

  it("ignores answers with a nonce that nobody waits for", () => {
    const queue = settled({ a: "1" });
    const delta = queue.next(versions({ a: "2" }), 2);
    expect(queue.acknowledge(delta!.nonce + 1, new Map())).toBeUndefined();
    expect(queue.refuse(refusal(delta!.nonce - 1, "a"))).toBeUndefined();
    expect(queue.isWaiting).toBe(true);
  });
});

describe("a refused delta", () => {
  const target = versions({ mesh: "1", "service:d/a": "bad", "service:d/b": "2", "endpoints:d/b": "e1" });

  function refused(): SidecarQueue {
    const queue = settled({ mesh: "1", "service:d/a": "1", "service:d/b": "1", "endpoints:d/b": "e1" });
    const delta = queue.next(target, 2);
    queue.refuse(refusal(delta!.nonce, "service:d/a"));
    return queue;
  }

  it("is not sent again, nor the rule changes that came with it", () => {
    const queue = refused();
    expect(queue.next(target, 2)).toBeUndefined();
    expect(queue.outcomeOf(2)).toBe("refused");
    expect(queue.outcomeOf(1)).toBe("live");
    expect(queue.refusal).toMatchObject({ resource: "service:d/a", fieldPath: "rules[0]" });
    expect(queue.revision).toBe(1);
  });

  it("does not hold up endpoints, and they do not make its revision live", () => {
    const queue = refused();
    const moved = versions({ ...Object.fromEntries(target), "endpoints:d/b": "e2" });
    const delta = queue.next(moved, 2);
    expect(delta).toMatchObject({ put: versions({ "endpoints:d/b": "e2" }), revision: 1 });
    queue.acknowledge(delta!.nonce, moved);
    expect(queue.outcomeOf(2)).toBe("refused");
    expect(queue.revision).toBe(1);
  });

  it("does not hold up services that are new to the sidecar", () => {
    const queue = refused();
    const more = versions({ ...Object.fromEntries(target), "service:d/c": "1", "service:d/none": ABSENT });
    const delta = queue.next(more, 2);
    expect(delta).toMatchObject({ put: versions({ "service:d/c": "1" }), removed: ["service:d/none"] });
  });

  it("is tried again as a whole when something in it changes", () => {
    const queue = refused();
    const fixed = versions({ ...Object.fromEntries(target), "service:d/a": "good" });
    const delta = queue.next(fixed, 3);
    expect(delta).toMatchObject({ revision: 3, put: versions({ "service:d/a": "good", "service:d/b": "2" }) });
    queue.acknowledge(delta!.nonce, fixed);
    expect(queue.outcomeOf(2)).toBe("live");
    expect(queue.refusal).toBeUndefined();
    expect(queue.revision).toBe(3);
  });

  it("is over when the rules go back to what the sidecar holds", () => {
    const queue = refused();
    const back = versions({ mesh: "1", "service:d/a": "1", "service:d/b": "1", "endpoints:d/b": "e1" });
    expect(queue.next(back, 3)).toBeUndefined();
    expect(queue.refusal).toBeUndefined();
    expect(queue.revision).toBe(3);
  });

  it("leaves a later revision that the sidecar accepts live", () => {
    const queue = refused();
    const later = versions({ ...Object.fromEntries(target), "service:d/c": "1" });
    const delta = queue.next(later, 3);
    queue.acknowledge(delta!.nonce, later);
    expect([queue.outcomeOf(1), queue.outcomeOf(2), queue.outcomeOf(3)]).toEqual(["live", "refused", "live"]);
  });

  it("lets a fresh sidecar have everything but the resource at fault", () => {
    const queue = new SidecarQueue(new Map());
    const delta = queue.next(target, 2);
    queue.refuse(refusal(delta!.nonce, "service:d/a"));
    const rest = queue.next(target, 2);
    expect([...rest!.put.keys()]).toEqual(["mesh", "service:d/b", "endpoints:d/b"]);
    queue.acknowledge(rest!.nonce, target);
    expect(queue.next(target, 2)).toBeUndefined();
    expect(queue.outcomeOf(2)).toBe("refused");
  });

  it("keeps removals back too: the old rules may still need what they name", () => {
    const queue = settled({ "service:d/a": "1", "service:d/old": "1", "endpoints:d/old": "e" });
    const shrunk = versions({ "service:d/a": "bad" });
    const delta = queue.next(shrunk, 2);
    expect(delta?.removed).toEqual(["service:d/old", "endpoints:d/old"]);
    queue.refuse(refusal(delta!.nonce, "service:d/a"));
    expect(queue.next(shrunk, 2)).toBeUndefined();
  });

  it("is given up as a whole when the sidecar names nothing that was in it", () => {
    const queue = settled({ "service:d/a": "1" });
    const bad = versions({ "service:d/a": "2", "service:d/b": "1" });
    queue.refuse(refusal(queue.next(bad, 2)!.nonce, "?"));
    expect(queue.next(bad, 2)).toBeUndefined();
  });
});
