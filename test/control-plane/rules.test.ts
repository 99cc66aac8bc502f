// What the rules service promises to whoever applies: all or nothing, in order, kept, and undone on request.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ApplyRequest,
  type ApplyResponse,
  DeleteRequest,
  type DeleteResponse,
  type DiffResponse,
  DocumentKey,
  type GetRequest,
  type GetResponse,
  HistoryRequest,
  type HistoryResponse,
  type ListRequest,
  type ListResponse,
  Operation,
  RollbackRequest,
  type RollbackResponse,
  type RulesServiceClient,
  Severity,
  WatchRequest,
  type WatchResponse,
} from "../../proto/gen/weft/v1/rules.ts";
import { cleanUp, eventually } from "../harness.ts";
import { apply, ask, route, rulesClient, service, startHere, stopAll } from "./client.ts";

let rules: RulesServiceClient;
beforeEach(async () => {
  rules = rulesClient((await startHere()).grpc);
});
afterEach(async () => {
  await stopAll();
  await cleanUp();
});

async function list(revision = 0, namespace = ""): Promise<string[]> {
  const request = { kind: "", namespace, revision };
  const { documents } = await ask<ListRequest, ListResponse>(rules, rules.list, request);
  return documents.map(({ key }) => `${key?.kind} ${key?.namespace}/${key?.name}`);
}

async function body(name: string, kind = "Service"): Promise<Record<string, unknown>> {
  const key = DocumentKey.fromPartial({ kind, name, namespace: "default" });
  const { document } = await ask<GetRequest, GetResponse>(rules, rules.get, { key });
  return JSON.parse(Buffer.from(document?.body ?? "").toString());
}

const history = (request: Partial<HistoryRequest> = {}) =>
  ask<HistoryRequest, HistoryResponse>(rules, rules.history, HistoryRequest.fromPartial(request));
const rollback = (to: number, overrides: Partial<RollbackRequest> = {}) =>
  ask<RollbackRequest, RollbackResponse>(rules, rules.rollback, RollbackRequest.fromPartial({ to, ...overrides }));
const remove = (request: Partial<DeleteRequest>) =>
  ask<DeleteRequest, DeleteResponse>(rules, rules.delete, DeleteRequest.fromPartial(request));
const keyOf = (name: string, kind = "Service") => DocumentKey.fromPartial({ kind, name, namespace: "default" });
const operations = ({ changes }: { changes: { key?: DocumentKey | undefined; operation: Operation }[] }) =>
  Object.fromEntries(changes.map(({ key, operation }) => [key?.name, operation]));

describe("apply", () => {
  it("keeps all documents as one revision and says what it did", async () => {
    const first = await apply(rules, service("a") + service("b"), { message: "why", author: "ann" });
    expect(first).toMatchObject({ accepted: true, revision: 1, diagnostics: [] });
    expect(operations(first)).toEqual({ a: Operation.OPERATION_CREATE, b: Operation.OPERATION_CREATE });
    const second = await apply(rules, service("a", "10.9.9.9:80") + service("b") + service("c"));
    expect(operations(second)).toEqual({
      a: Operation.OPERATION_UPDATE,
      b: Operation.OPERATION_UNCHANGED,
      c: Operation.OPERATION_CREATE,
    });
    const { revisions } = await history();
    expect(revisions.map(({ revision }) => revision)).toEqual([2, 1]);
    expect(revisions[1]).toMatchObject({ author: "ann", message: "why", cause: "apply" });
    expect(operations(revisions[0]!)).toEqual({ a: Operation.OPERATION_UPDATE, c: Operation.OPERATION_CREATE });
  });

  it("is not a revision when nothing changes", async () => {
    await apply(rules, service("a"));
    const again = await apply(rules, service("a"));
    expect(again).toMatchObject({ accepted: true, revision: 1 });
    expect(operations(again)).toEqual({ a: Operation.OPERATION_UNCHANGED });
    expect((await history()).revisions).toHaveLength(1);
  });

  it("keeps nothing when one document among twenty is bad, and says where", async () => {
    const good = Array.from({ length: 20 }, (_, index) => service(`s${index}`)).join("");
    const bad = "apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: bad }\nspec: { portz: [] }\n";
    const answer = await apply(rules, good + bad);
    expect(answer).toMatchObject({ accepted: false, revision: 0, changes: [] });
    expect(answer.diagnostics).toMatchObject([
      { severity: Severity.SEVERITY_ERROR, file: "rules.yaml", line: 124, path: "spec.portz", suggestion: "ports" },
    ]);
    expect(await list()).toEqual([]);
  });

  it("keeps nothing on a dry run, and shows before and after", async () => {
    await apply(rules, service("a"));
    const answer = await apply(rules, service("a", "10.9.9.9:80"), { dryRun: true });
    expect(answer).toMatchObject({ accepted: true, revision: 1 });
    const [change] = answer.changes;
    expect(Buffer.from(change!.before).toString()).toContain("10.0.0.1:80");
    expect(Buffer.from(change!.after).toString()).toContain("10.9.9.9:80");
    expect(JSON.stringify(await body("a"))).toContain("10.0.0.1:80");
  });

  it("warns of a service that does not exist, and refuses it when strict", async () => {
    const dangling = service("a") + route("a", "a", "nowhere");
    const strict = await apply(rules, dangling, { strict: true });
    expect(strict).toMatchObject({ accepted: false, revision: 0 });
    expect(strict.diagnostics[0]).toMatchObject({ severity: Severity.SEVERITY_ERROR });
    const lax = await apply(rules, dangling);
    expect(lax).toMatchObject({ accepted: true, revision: 1 });
    expect(lax.diagnostics[0]).toMatchObject({ severity: Severity.SEVERITY_WARNING });
  });

  it("with prune deletes what is not in the input, in one namespace or in all", async () => {
    await apply(rules, service("a") + service("b"));
    await apply(rules, service("c"), { namespace: "other" });
    const pruned = await apply(rules, service("a"), { prune: true });
    expect(operations(pruned)).toEqual({ a: Operation.OPERATION_UNCHANGED, b: Operation.OPERATION_DELETE });
    expect(await list()).toEqual(["Service default/a", "Service other/c"]);
    await apply(rules, service("a"), { prune: true, pruneAllNamespaces: true });
    expect(await list()).toEqual(["Service default/a"]);
  });

  it("refuses an input without documents instead of pruning everything", async () => {
    await apply(rules, service("a"));
    for (const empty of ["", "---\n", "# nothing here\n"]) {
      const answer = await apply(rules, empty, { prune: true, pruneAllNamespaces: true });
      expect(answer).toMatchObject({ accepted: false, revision: 1 });
    }
    expect(await list()).toEqual(["Service default/a"]);
  });

  it("gives documents an age, which an update keeps", async () => {
    await apply(rules, service("a"));
    const born = ((await body("a"))["metadata"] as Record<string, unknown>)["creationTimestamp"];
    expect(born).toMatch(/^\d{4}-\d\d-\d\dT/);
    await apply(rules, service("a", "10.9.9.9:80"));
    expect(((await body("a"))["metadata"] as Record<string, unknown>)["creationTimestamp"]).toBe(born);
  });

  it("of two at the same time keeps both, one after the other", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => apply(rules, service(`s${index}`), { message: `m${index}` })),
    );
    expect(answers.map(({ revision }) => revision).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    const { revisions } = await history();
    expect(new Set(revisions.map(({ message }) => message)).size).toBe(20);
    expect(await list()).toHaveLength(20);
  });

  it.each([
    ["malformed YAML", "a: [1,\nb: }"],
    ["an unknown kind", "apiVersion: weft.mesh/v1\nkind: Servic\nmetadata: { name: a }\nspec: {}\n"],
    ["no UTF-8", Buffer.from([0xff, 0xfe, 0x00, 0x80])],
    ["a scalar", "42"],
    [
      "aliases that explode",
      "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]\n",
    ],
    ["deep nesting", "[".repeat(100_000)],
  ])("answers %s with a diagnostic", async (_what, content) => {
    const sources = [{ name: "x.yaml", content: Buffer.from(content) }];
    const request = ApplyRequest.fromPartial({ sources });
    const answer = await ask<ApplyRequest, ApplyResponse>(rules, rules.apply, request);
    expect(answer.accepted).toBe(false);
    expect(answer.diagnostics[0]?.file).toBe("x.yaml");
  });

  it("of a thousand documents does not keep anybody else waiting", async () => {
    const many = Array.from({ length: 1_000 }, (_, index) => service(`s${index}`) + route(`r${index}`, "a", "b")).join(
      "",
    );
    let isDone = false;
    const large = apply(rules, many).finally(() => {
      isDone = true;
    });
    let asked = 0;
    while (!isDone) {
      await list();
      asked++;
    }
    expect(await large).toMatchObject({ accepted: true, revision: 1 });
    expect(asked).toBeGreaterThan(20);
    expect(await list()).toHaveLength(2_000);
    const broken = await apply(rules, `${many}nonsense: [`);
    expect(broken).toMatchObject({ accepted: false, revision: 1 });
    expect(broken.diagnostics[0]).toMatchObject({ file: "rules.yaml", line: expect.any(Number) });
  });

  it("refuses a source of 5 MB in words, and one of 10 MB too", async () => {
    const five = await apply(rules, "#".repeat(5_000_000));
    expect(five).toMatchObject({ accepted: false });
    expect(five.diagnostics[0]?.message).toMatch(/5000000 bytes; at most 4194304/);
    await expect(apply(rules, "#".repeat(10_000_000))).rejects.toMatchObject({ code: 8 });
    expect(await apply(rules, service("a"))).toMatchObject({ accepted: true });
  });
});

describe("diff", () => {
  it("shows what an apply would do and changes nothing", async () => {
    await apply(rules, service("a") + service("b"));
    const sources = [{ name: "x", content: Buffer.from(service("a", "10.9.9.9:80")) }];
    const request = { sources, namespace: "", prune: true, pruneAllNamespaces: false };
    const answer = (await ask(rules, rules.diff, request)) as DiffResponse;
    expect(operations(answer)).toEqual({ a: Operation.OPERATION_UPDATE, b: Operation.OPERATION_DELETE });
    expect(await list()).toHaveLength(2);
  });
});

describe("delete", () => {
  it("removes documents as one revision", async () => {
    await apply(rules, service("a") + service("b") + service("c"));
    const answer = await remove({ keys: [keyOf("a"), keyOf("b")], message: "bye", author: "bob" });
    expect(answer.revision).toBe(2);
    expect(await list()).toEqual(["Service default/c"]);
    expect((await history()).revisions[0]).toMatchObject({ cause: "delete", message: "bye", author: "bob" });
  });

  it("removes nothing when one of the keys does not exist, unless told to ignore that", async () => {
    await apply(rules, service("a"));
    const keys = [keyOf("a"), keyOf("never")];
    await expect(remove({ keys })).rejects.toMatchObject({ code: 5, details: "Service default/never does not exist" });
    expect(await list()).toEqual(["Service default/a"]);
    expect((await remove({ keys, ignoreMissing: true })).revision).toBe(2);
    expect((await remove({ keys, ignoreMissing: true })).revision).toBe(2);
    await expect(remove({ keys: [] })).rejects.toMatchObject({ code: 3 });
  });
});

describe("history", () => {
  it("comes in pages, and of one document", async () => {
    for (let step = 0; step < 5; step++) await apply(rules, service("a", `10.0.0.${step}:80`));
    await apply(rules, service("b"));
    const numbers = async (request: Partial<HistoryRequest>) =>
      (await history(request)).revisions.map(({ revision }) => revision);
    expect(await numbers({ limit: 2 })).toEqual([6, 5]);
    expect(await numbers({ limit: 2, before: 5 })).toEqual([4, 3]);
    expect(await numbers({ key: keyOf("b") })).toEqual([6]);
  });

  it("shows the documents of any revision, and not of one to come", async () => {
    await apply(rules, service("a"));
    await apply(rules, service("b"));
    await remove({ keys: [keyOf("a")] });
    expect(await list(1)).toEqual(["Service default/a"]);
    expect(await list(2)).toEqual(["Service default/a", "Service default/b"]);
    expect(await list()).toEqual(["Service default/b"]);
    await expect(list(9)).rejects.toMatchObject({ code: 5, details: "there is no revision 9; the newest is 3" });
  });
});

describe("rollback", () => {
  it("makes everything what it was, as a new revision", async () => {
    await apply(rules, service("a") + service("b"));
    const before = await body("a");
    await apply(rules, service("a", "10.9.9.9:80") + service("c"));
    await remove({ keys: [keyOf("b")] });
    const dry = await rollback(1, { dryRun: true });
    expect(dry.revision).toBe(3);
    const answer = await rollback(1);
    expect(answer.revision).toBe(4);
    expect(operations(answer)).toEqual(operations(dry));
    expect(await list()).toEqual(["Service default/a", "Service default/b"]);
    expect(await body("a")).toEqual(before);
    expect((await history()).revisions[0]).toMatchObject({ cause: "rollback", message: "rollback to revision 1" });
    expect((await rollback(4)).revision).toBe(4);
  });

  it("refuses a revision that never was", async () => {
    await expect(rollback(0)).rejects.toMatchObject({ code: 3 });
    await expect(rollback(5)).rejects.toMatchObject({ code: 5 });
  });
});

describe("watch", () => {
  it("gives what is there, then every change", async () => {
    await apply(rules, service("a") + route("r", "a", "a"));
    const seen: string[] = [];
    const call = rules.watch(WatchRequest.fromPartial({ kind: "Service" })).on("error", () => {});
    call.on("data", ({ document, operation, revision, initialListDone }: WatchResponse) => {
      seen.push(initialListDone ? `done ${revision}` : `${operation} ${document?.key?.name} ${revision}`);
    });
    await eventually("initial list", () => seen.includes("done 1"));
    await apply(rules, service("b") + service("a", "10.9.9.9:80"));
    await remove({ keys: [keyOf("b")] });
    await apply(rules, route("r2", "a", "a"));
    await eventually("the deletion", () => seen.length >= 5);
    expect(seen).toEqual(["1 a 1", "done 1", "1 b 2", "2 a 2", "3 b 3"]);
    call.cancel();
  });
});
