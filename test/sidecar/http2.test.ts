// Clients of HTTP/2 at a real sidecar in two processes: both serve, and its end loses no request.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { cleanUp, eventually, temporaryFolder } from "../harness.ts";
import { page, serviceDocument, startHttpApp, startSidecar } from "./sidecar-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

/** One request. @returns its status, or how it broke off */
async function ask(session: ClientHttp2Session, path = "/"): Promise<unknown> {
  const stream = session.request({ ":path": path, ":authority": "orders" });
  stream.resume();
  try {
    const [head] = await once(stream, "response");
    if (!stream.readableEnded) await once(stream, "end");
    return head[":status"];
  } catch (error) {
    return (error as Error).message;
  }
}

test("at its end every client hears GOAWAY, what is under way is answered, and the processes end", async () => {
  const held: (() => void)[] = [];
  const orders = await startHttpApp((request, response) => {
    if (request.url === "/slow") held.push(() => response.end("late"));
    else response.end("fine");
  });
  closing.push(() => orders.close());
  const rules = join(temporaryFolder(), "rules.yaml");
  writeFileSync(rules, serviceDocument("orders", orders.address));
  const sidecar = await startSidecar("web", { flags: ["--rules", rules, "--concurrency", "2"] });
  const sessions = Array.from({ length: 24 }, () => connect(`http://${sidecar.address("outbound")}`));
  closing.push(() => sessions.map((session) => session.destroy()));
  let goaways = 0;
  for (const session of sessions) session.on("goaway", () => goaways++).on("error", () => {});
  for (let round = 0; round < 20; round++)
    expect(new Set(await Promise.all(sessions.map((session) => ask(session))))).toEqual(new Set([200]));
  await eventually("requests at both processes", async () => {
    const dump = (await (await page(sidecar, "admin", "/config_dump")).json()) as { workers: { requests: number }[] };
    return dump.workers.length === 2 && dump.workers.every(({ requests }) => requests > 0);
  });

  const slow = sessions.map((session) => ask(session, "/slow"));
  await eventually("24 requests under way", () => held.length === 24);
  sidecar.signal("SIGINT");
  await eventually("GOAWAY to all", () => goaways >= 24);
  for (const answer of held) answer();
  expect(new Set(await Promise.all(slow))).toEqual(new Set([200]));
  expect(await sidecar.exited).toMatchObject({ code: 0 });
}, 60_000);

const LAST_OF_ALL = 2 ** 31 - 1;
const REFUSED = "Stream closed with error code NGHTTP2_REFUSED_STREAM";

test.each(["outbound", "inbound"] as const)(
  "SIGTERM under calls that go on: clients of the %s port hear GOAWAY twice, and no call is lost",
  async (port) => {
    const held: (() => void)[] = [];
    let served = 0;
    const orders = await startHttpApp((request, response) => {
      if (request.url === "/slow") held.push(() => response.end("late"));
      else {
        served++;
        response.end("fine");
      }
    });
    closing.push(() => orders.close());
    const rules = join(temporaryFolder(), "rules.yaml");
    writeFileSync(rules, serviceDocument("orders", orders.address));
    // The app is there all the time and goes on calling: what it waits for is the end of the drain time.
    const sidecar = await startSidecar("web", { flags: ["--rules", rules, "--drain", "4s"], app: orders.address });
    const session = connect(`http://${sidecar.address(port)}`);
    closing.push(() => session.destroy());
    const goaways: number[] = [];
    session.on("goaway", (_code, lastStreamId) => goaways.push(lastStreamId)).on("error", () => {});
    const answers: unknown[] = [];
    const loops = Array.from({ length: 4 }, async () => {
      while (goaways.length === 0) answers.push(await ask(session));
    });
    const slow = ask(session, "/slow");
    await eventually("calls under way", () => held.length === 1 && answers.length > 50);
    sidecar.signal("SIGTERM");
    await Promise.all(loops);
    await eventually("the last stream is named", () => goaways.length === 2);
    for (const answer of held) answer();
    expect(await slow).toBe(200);
    expect(goaways[0]).toBe(LAST_OF_ALL);
    expect(goaways[1]).toBeLessThan(LAST_OF_ALL);
    const answered = answers.filter((answer) => answer === 200).length;
    // What node:http2 had begun before it told of GOAWAY it refuses itself: that was never sent, and could be repeated.
    expect(answers.filter((answer) => answer !== 200 && answer !== REFUSED)).toEqual([]);
    expect(served).toBe(answered);
    expect(goaways[1]).toBe(2 * (answered + 1) - 1);
    await eventually("the connection is over", () => session.destroyed);
    expect(await sidecar.exited).toMatchObject({ code: 0 });
  },
  60_000,
);
