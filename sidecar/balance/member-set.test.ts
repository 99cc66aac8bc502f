// Which endpoints a choice is among, as health, zones, age and observed load change.
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../runtime/random.ts";
import { type FakeMember, fakeMember, fakeMembers } from "./fixtures.ts";
import { hashText } from "./hash.ts";
import { affinityCookieLine, hashedText } from "./hash-on.ts";
import { MemberSet, type SelectionSettings } from "./member-set.ts";
import { reportedUtilization } from "./reported-load.ts";
import { adaptiveFactors, slowStartFactor } from "./share.ts";

const SETTINGS: SelectionSettings = {
  slowStartMs: 0,
  adaptive: false,
  panicThreshold: 0,
  zone: "",
  zoneMinHealthyPercent: 70,
};

function chosenFrom(members: FakeMember[], settings: Partial<SelectionSettings> = {}) {
  const health = { version: 0 };
  const set = new MemberSet(members, { ...SETTINGS, ...settings }, health);
  const random = seededRandom(3);
  return {
    set,
    names: (nowMs = 0, usesHash = false, hash = 0) =>
      set.select(nowMs, usesHash, hash, random).members.map(({ name }) => name),
    change: (change: () => void) => {
      change();
      health.version++;
    },
  };
}

test("only healthy endpoints of weight above 0 are chosen from, from the next choice on", () => {
  const members = [...fakeMembers(3), fakeMember("idle", 0)];
  const { names, change } = chosenFrom(members);
  expect(names()).toEqual(["m0", "m1", "m2"]);
  change(() => {
    members[1]!.isHealthy = false;
  });
  expect(names()).toEqual(["m0", "m2"]);
  change(() => {
    members[1]!.isHealthy = true;
  });
  expect(names()).toEqual(["m0", "m1", "m2"]);
});

test("where balancing goes by hashes the set stays the same object while health changes", () => {
  const members = fakeMembers(3);
  const { set, change } = chosenFrom(members);
  const before = set.select(0, true, 1, seededRandom(1));
  change(() => {
    members[0]!.isHealthy = false;
  });
  expect(set.select(0, true, 1, seededRandom(1))).toBe(before);
});

test("below the panic threshold all are used, above it only the healthy ones", () => {
  const members = fakeMembers(10);
  const { set, names, change } = chosenFrom(members, { panicThreshold: 50 });
  change(() => {
    for (const member of members.slice(0, 5)) member.isHealthy = false;
  });
  expect(names().length).toBe(5);
  expect(set.isPanicking).toBe(false);
  change(() => {
    members[5]!.isHealthy = false;
  });
  expect(names().length).toBe(10);
  expect(set.isPanicking).toBe(true);
  expect(set.select(0, false, 0, seededRandom(1)).ignoresHealth).toBe(true);
});

describe("zone preference", () => {
  const zoned = () => [
    ...["a1", "a2", "a3", "a4"].map((name) => fakeMember(name, 1, "a")),
    ...["b1", "b2"].map((name) => fakeMember(name, 1, "b")),
  ];
  const nearShare = (members: FakeMember[], sick: number) => {
    const { names, change } = chosenFrom(members, { zone: "a" });
    change(() => {
      for (const member of members.slice(0, sick)) member.isHealthy = false;
    });
    let near = 0;
    for (let pick = 0; pick < 4_000; pick++) if (names()[0]?.startsWith("a") === true) near++;
    return near / 4_000;
  };

  test("stays in the own zone while enough of it is healthy", () => {
    expect(nearShare(zoned(), 0)).toBe(1);
    expect(nearShare(zoned(), 1)).toBe(1);
  });

  test("spills over in proportion below that, and wholly when none is left", () => {
    expect(nearShare(zoned(), 2)).toBeCloseTo(50 / 70, 1);
    expect(nearShare(zoned(), 3)).toBeCloseTo(25 / 70, 1);
    expect(nearShare(zoned(), 4)).toBe(0);
  });

  test("an own zone without endpoints, or no other zone, is no preference", () => {
    const { names } = chosenFrom(zoned(), { zone: "c" });
    expect(names().length).toBe(6);
    const members = [fakeMember("a1", 1, "a"), fakeMember("a2", 1, "a")];
    expect(nearShare(members, 1)).toBe(1);
  });

  test("a key keeps its zone while health does not change", () => {
    const members = zoned();
    const { names, change } = chosenFrom(members, { zone: "a" });
    change(() => {
      members[0]!.isHealthy = false;
      members[1]!.isHealthy = false;
    });
    for (let key = 0; key < 50; key++) {
      const hash = hashText(`key ${key}`);
      expect(names(0, true, hash)).toEqual(names(0, true, hash));
    }
  });
});

describe("shares", () => {
  test("slow start grows from a tenth to all", () => {
    expect([0, 1_000, 5_000, 10_000, 20_000].map((ageMs) => slowStartFactor(ageMs, 10_000))).toEqual([
      0.1, 0.1, 0.5, 1, 1,
    ]);
    expect(slowStartFactor(0, 0)).toBe(1);
  });

  test("a new endpoint's share grows while time passes, without a change of health", () => {
    const members = fakeMembers(2);
    members[1]!.healthySinceMs = 1_000;
    const { names } = chosenFrom(members, { slowStartMs: 10_000 });
    const shareAt = (nowMs: number) => {
      names(nowMs);
      return members[1]!.share;
    };
    expect(shareAt(1_000)).toBeCloseTo(0.1);
    expect(shareAt(6_000)).toBeCloseTo(0.5);
    expect(shareAt(11_500)).toBe(1);
    expect(members[0]!.share).toBe(1);
  });

  test("adaptive weights follow reported load first, latency else, and leave unknown endpoints alone", () => {
    const unknown = { samples: 0, latencyMs: 30, utilization: -1 };
    const fast = { samples: 100, latencyMs: 10, utilization: -1 };
    const slow = { samples: 100, latencyMs: 30, utilization: -1 };
    const [ofFast = 0, ofSlow = 0, ofUnknown] = adaptiveFactors([fast, slow, unknown]);
    expect([ofFast, ofSlow, ofUnknown]).toEqual([2, 20 / 30, 1]);
    const [idle = 0, full = 0] = adaptiveFactors([
      { ...slow, utilization: 0.1 },
      { ...fast, utilization: 0.9 },
    ]);
    expect(idle).toBeGreaterThan(1);
    expect(full).toBeLessThan(1);
    expect(idle).toBeLessThanOrEqual(4);
  });
});

describe("what is hashed", () => {
  const source = (fields: Record<string, string>, query = "", sourceAddress = "10.1.2.3") => ({
    header: (name: string) => fields[name],
    query,
    sourceAddress,
  });

  test.each([
    [{ type: "header", name: "x-user" } as const, source({ "x-user": "ada" }), "ada"],
    [{ type: "header", name: "x-user" } as const, source({}), undefined],
    [{ type: "cookie", name: "sid" } as const, source({ cookie: "a=b; sid=42; sid=43" }), "42"],
    [{ type: "cookie", name: "sid" } as const, source({ cookie: "xsid=1; sid2=3" }), undefined],
    [{ type: "cookie", name: "sid" } as const, source({ cookie: "sid=" }), ""],
    [{ type: "query", name: "u" } as const, source({}, "uu=2&u=1&u=3"), "1"],
    [{ type: "query", name: "u" } as const, source({}, "u"), ""],
    [{ type: "query", name: "u" } as const, source({}, ""), undefined],
    [{ type: "query", name: "a b" } as const, source({}, "a%20b=1"), "1"],
    [{ type: "sourceIP" } as const, source({}), "10.1.2.3"],
    [{ type: "sourceIP" } as const, source({}, "", ""), undefined],
  ])("%j", (hashOn, request, expected) => {
    expect(hashedText(hashOn, request)).toBe(expected);
  });

  test("a cookie for a caller without one is a complete field line", () => {
    expect(affinityCookieLine("sid", "4f2a")).toBe("set-cookie: sid=4f2a; Path=/; HttpOnly\r\n");
  });
});

test.each([
  ["TEXT cpu_utilization=0.3, mem_utilization=0.8", 0.3],
  ["TEXT cpu_utilization=0.3,application_utilization=1.2", 1.2],
  ['JSON {"cpu_utilization": 0.25}', 0.25],
  ["JSON {", -1],
  ["JSON null", -1],
  ["TEXT cpu_utilization=much", -1],
  ["TEXT cpu_utilization=-1", -1],
  ["BIN AAAA", -1],
  ["", -1],
])("a reported load of %j is %d", (field, utilization) => {
  expect(reportedUtilization(field)).toBe(utilization);
});
