// Updates are applied as a whole or not at all.
import { describe, expect, test } from "vitest";
import type { Resource } from "../../rules/resource.ts";
import { Configuration } from "./configuration.ts";

const MESH = { type: "mesh", marker: 1 };

function setUp() {
  const published: { names: string[]; revision: number; resources: ReadonlyMap<string, Resource> }[] = [];
  const failures = { build: "" };
  const configuration = new Configuration({
    parse: (name, body) => {
      if ((body as { bad?: boolean }).bad === true)
        throw Object.assign(new Error("not a port"), { resource: name, path: "ports[0].port" });
      return body as Resource;
    },
    publish: (resources, revision) => {
      if (failures.build !== "") throw new Error(failures.build);
      published.push({ names: [...resources.keys()], revision, resources });
    },
    wall: () => 42,
  });
  return { configuration, published, failures };
}

const service = (name: string, extra: object = {}) => ({
  name: `service:default/${name}`,
  version: JSON.stringify(extra),
  body: { type: "service", service: `default/${name}`, ...extra },
});

describe("an update", () => {
  test("is published once, with everything that is held, and acted on at its revision", async () => {
    const { configuration, published } = setUp();
    await configuration.apply({ revision: 1, resources: [service("a"), service("b")], removed: [] }, "control-plane");
    await configuration.apply(
      { revision: 2, resources: [service("c")], removed: ["service:default/a", "service:default/never"] },
      "control-plane",
    );
    expect(published.map(({ names, revision }) => [revision, ...names])).toEqual([
      [1, "service:default/a", "service:default/b"],
      [2, "service:default/b", "service:default/c"],
    ]);
    expect(configuration.revision).toBe(2);
    expect(configuration.origin).toBe("control-plane");
  });

  test("with one bad resource among good ones changes nothing and names resource and field", async () => {
    const { configuration, published } = setUp();
    await configuration.apply({ revision: 1, resources: [service("a")], removed: [] }, "control-plane");
    const update = {
      revision: 2,
      resources: [service("b"), service("c", { bad: true })],
      removed: ["service:default/a"],
    };
    expect(await configuration.apply(update, "control-plane")).toEqual({
      outcome: "refused",
      refusal: { revision: 2, resource: "service:default/c", path: "ports[0].port", message: "not a port", atMs: 42 },
    });
    expect(published).toHaveLength(1);
    expect(configuration.revision).toBe(1);
    expect([...configuration.held.keys()]).toEqual(["service:default/a"]);
    expect(configuration.lastRefusal?.resource).toBe("service:default/c");
  });

  test("that does not build is refused, and the one that repairs it clears the refusal", async () => {
    const { configuration, failures } = setUp();
    failures.build = "no such algorithm";
    const update = { revision: 1, resources: [service("a")], removed: [] };
    expect((await configuration.apply(update, "control-plane")).outcome).toBe("refused");
    expect(configuration.origin).toBe("none");
    failures.build = "";
    expect((await configuration.apply(update, "control-plane")).outcome).toBe("applied");
    expect(configuration.lastRefusal).toBeUndefined();
  });

  test.each([
    ["text that is not JSON", "{"],
    ["another resource than its name says", '{"type":"mesh"}'],
  ])("with %s is refused under the resource's name", async (_what, body) => {
    const { configuration } = setUp();
    const resources = [{ name: "service:default/a", version: "1", body }];
    const result = await configuration.apply({ revision: 1, resources, removed: [] }, "control-plane");
    expect(result).toMatchObject({ outcome: "refused", refusal: { resource: "service:default/a" } });
  });

  test("that changes nothing is not published again", async () => {
    const { configuration, published } = setUp();
    const update = { revision: 1, resources: [service("a")], removed: [] };
    await configuration.apply(update, "control-plane");
    expect(await configuration.apply(update, "control-plane")).toEqual({ outcome: "applied", changed: false });
    expect(published).toHaveLength(1);
  });

  test("keeps the object of a resource whose version did not change", async () => {
    const { configuration, published } = setUp();
    const mesh = { name: "mesh", version: "1", body: JSON.stringify(MESH) };
    await configuration.apply({ revision: 1, resources: [mesh], removed: [] }, "control-plane");
    await configuration.apply({ revision: 2, resources: [mesh, service("a")], removed: [] }, "control-plane");
    expect(published[1]!.resources.get("mesh")).toBe(published[0]!.resources.get("mesh"));
  });

  test("an empty first update counts as configuration", async () => {
    const { configuration, published } = setUp();
    await configuration.apply({ revision: 0, resources: [], removed: [] }, "control-plane");
    expect(configuration.origin).toBe("control-plane");
    expect(published).toHaveLength(1);
  });
});

describe("an update that takes time, as over several processes", () => {
  test("is acted on only when all have it; the next one begins after that, on top of it", async () => {
    const gate = Promise.withResolvers<void>();
    const seen: string[] = [];
    const configuration = new Configuration({
      parse: (_name, body) => body as Resource,
      publish: async (resources, revision) => {
        seen.push(`begin ${revision}: ${[...resources.keys()].length}`);
        if (revision === 1) await gate.promise;
        seen.push(`end ${revision}`);
      },
      wall: () => 42,
    });
    const first = configuration.apply({ revision: 1, resources: [service("a")], removed: [] }, "control-plane");
    const second = configuration.apply({ revision: 2, resources: [service("b")], removed: [] }, "control-plane");
    await Promise.resolve();
    expect(configuration.revision).toBe(0);
    gate.resolve();
    await Promise.all([first, second]);
    expect(seen).toEqual(["begin 1: 1", "end 1", "begin 2: 2", "end 2"]);
    expect(configuration.revision).toBe(2);
  });

  test("is refused when one of them rejects, and what was there stays", async () => {
    const configuration = new Configuration({
      parse: (_name, body) => body as Resource,
      publish: (_resources, revision) => (revision === 2 ? Promise.reject(new Error("no")) : Promise.resolve()),
      wall: () => 42,
    });
    await configuration.apply({ revision: 1, resources: [service("a")], removed: [] }, "control-plane");
    const result = await configuration.apply({ revision: 2, resources: [service("b")], removed: [] }, "control-plane");
    expect(result).toMatchObject({ outcome: "refused", refusal: { message: "no" } });
    expect([...configuration.held.keys()]).toEqual(["service:default/a"]);
  });
});
