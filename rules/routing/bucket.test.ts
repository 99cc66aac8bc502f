// That a user's side of a release depends on nothing but the user and the release, that more weight only adds users,
// and that shares are kept.
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../runtime/random.ts";
import type { RolloutSplit } from "../resource.ts";
import { BUCKETS, bucketOf, SplitSequence, userBucket } from "./bucket.ts";
import type { RequestView } from "./request-view.ts";

function view(headers: Readonly<Record<string, string>>, query = ""): RequestView {
  const header = (name: string) => headers[name];
  return { method: "GET", path: "/", query, port: 80, fromNamespace: "default", header };
}

function split(key: RolloutSplit["key"]): RolloutSplit {
  return { rollout: "Rollout default/orders", key, salt: "default/orders/orders-v2", isLive: true };
}

describe("the bucket of a user", () => {
  const token = ["e30", Buffer.from(JSON.stringify({ sub: "ann" })).toString("base64url"), "sig"].join(".");

  test.each([
    ["header", split({ type: "header", name: "x-user" }), view({ "x-user": "ann" })],
    ["cookie", split({ type: "cookie", name: "uid" }), view({ cookie: "a=b; uid=ann; c=d" })],
    ["query parameter", split({ type: "query", name: "u" }), view({}, "x=1&u=ann")],
    ["claim", split({ type: "claim", name: "sub" }), view({ authorization: `Bearer ${token}` })],
  ])("is the same whatever names the user: %s", (_title, rule, request) => {
    expect(userBucket(rule, request)).toBe(bucketOf("default/orders/orders-v2", "ann"));
  });

  test.each([
    ["no key", split(undefined), view({ "x-user": "ann" })],
    ["no such header", split({ type: "header", name: "x-user" }), view({})],
    ["an empty value", split({ type: "header", name: "x-user" }), view({ "x-user": "" })],
    ["a token that is none", split({ type: "claim", name: "sub" }), view({ authorization: "Bearer a.%%%.c" })],
    [
      "a claim that is not there",
      split({ type: "claim", name: "toString" }),
      view({ authorization: `Bearer ${token}` }),
    ],
  ])("is none with %s", (_title, rule, request) => {
    expect(userBucket(rule, request)).toBeUndefined();
  });

  test("is the same for ever", () => {
    expect([bucketOf("default/orders/orders-v2", "ann"), bucketOf("s", ""), bucketOf("", "u1")]).toMatchInlineSnapshot(`
      [
        4340,
        8964,
        9719,
      ]
    `);
  });

  test.each([1, 5, 25, 33, 50, 80])("puts %d percent of 100,000 users below that share of the buckets", (percent) => {
    let below = 0;
    for (let user = 0; user < 100_000; user++)
      if (bucketOf("default/orders/orders-v2", `user-${user}`) < percent * (BUCKETS / 100)) below++;
    expect(Math.abs(below / 1_000 - percent)).toBeLessThanOrEqual(0.2);
  });
});

test.each([0.1, 5, 33.3, 50])(
  "without users, %d percent of 100,000 requests is kept to within 0.01 points",
  (percent) => {
    const random = seededRandom(11);
    const sequence = new SplitSequence();
    let below = 0;
    for (let request = 0; request < 100_000; request++) if (sequence.next(random.next()) * 100 < percent) below++;
    expect(Math.abs(below / 1_000 - percent)).toBeLessThanOrEqual(0.01);
  },
);
