// The cache file: what is read back, what is refused, when it is written.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silentLog } from "../../runtime/log.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { type CacheContent, CacheWriter, readCache, writeCache } from "./cache.ts";
import { CACHE_MAX_MS, CACHE_QUIET_MS } from "./limits.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-cache-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const CONTENT: CacheContent = {
  service: "default/orders",
  revision: 7,
  savedAtMs: 1,
  subscriptions: ["default/payments"],
  resources: [{ name: "mesh", version: "abc", body: { type: "mesh", text: "grün\n" } }],
};

describe("a cache file", () => {
  test("gives back what was written, and leaves no other file behind", async () => {
    const file = join(folder, "deep/er/cache");
    await writeCache(file, CONTENT);
    expect(await readCache(file, "default/orders")).toEqual({ outcome: "loaded", content: CONTENT });
    expect(readdirSync(join(folder, "deep/er"))).toEqual(["cache"]);
  });

  test("that is not there is absent, which is no damage", async () => {
    expect(await readCache(join(folder, "none"), "default/orders")).toEqual({ outcome: "absent" });
  });

  test("of another service is refused", async () => {
    const file = join(folder, "cache");
    await writeCache(file, CONTENT);
    expect(await readCache(file, "default/web")).toMatchObject({
      outcome: "refused",
      reason: expect.stringContaining("belongs to service default/orders"),
    });
  });

  test("with any one byte changed, or cut anywhere, is refused", async () => {
    const file = join(folder, "cache");
    await writeCache(file, CONTENT);
    const good = readFileSync(file);
    for (let at = 0; at < good.length; at++) {
      const damaged = Buffer.from(good);
      damaged[at] = (damaged[at] ?? 0) ^ 0x01;
      writeFileSync(file, damaged);
      expect((await readCache(file, "default/orders")).outcome, `byte ${at} changed`).toBe("refused");
      writeFileSync(file, good.subarray(0, at));
      expect((await readCache(file, "default/orders")).outcome, `cut at ${at}`).toBe("refused");
    }
  });

  test.each([
    ["of a later format", '{"format":"weft-sidecar-cache","version":2,"bytes":0,"sha256":""}\n', "format version 2"],
    ["with a header of null", "null\n", "first line"],
    ["that is a picture", "\u0089PNG\r\n\u001a\n", "first line"],
  ])("%s is refused with a word", async (_what, text, word) => {
    const file = join(folder, "cache");
    writeFileSync(file, text);
    expect(await readCache(file, "default/orders")).toMatchObject({
      outcome: "refused",
      reason: expect.stringContaining(word),
    });
  });

  test("that is a folder is refused", async () => {
    expect((await readCache(folder, "default/orders")).outcome).toBe("refused");
  });
});

describe("writing the cache", () => {
  function writer(file: string) {
    const clock = new ManualClock();
    const state = { revision: 0, writes: 0 };
    const content = () => {
      state.writes++;
      return { ...CONTENT, revision: state.revision };
    };
    return { clock, state, cache: new CacheWriter({ file, content, clock, log: silentLog() }) };
  }

  test("waits for quiet and writes what is in use then, once", async () => {
    const file = join(folder, "cache");
    const { cache, clock, state } = writer(file);
    for (state.revision = 1; state.revision < 5; state.revision++) {
      cache.schedule();
      clock.advance(CACHE_QUIET_MS - 1);
    }
    expect(state.writes).toBe(0);
    clock.advance(1);
    await cache.flush();
    expect(state.writes).toBe(1);
    expect(await readCache(file, "default/orders")).toMatchObject({ content: { revision: 5 } });
    expect(cache.savedAtMs).toBeGreaterThan(0);
  });

  test("does not wait for ever while changes go on", async () => {
    const { cache, clock, state } = writer(join(folder, "cache"));
    for (let passedMs = 0; passedMs < CACHE_MAX_MS; passedMs += CACHE_QUIET_MS / 2) {
      cache.schedule();
      clock.advance(CACHE_QUIET_MS / 2);
    }
    await cache.flush();
    expect(state.writes).toBe(1);
  });

  test("flush writes what is pending, and nothing when nothing is", async () => {
    const { cache, state, clock } = writer(join(folder, "cache"));
    await cache.flush();
    expect(state.writes).toBe(0);
    cache.schedule();
    await cache.flush();
    expect(state.writes).toBe(1);
    expect(clock.pendingCount).toBe(0);
  });

  test("a file that cannot be written stops nothing", async () => {
    writeFileSync(join(folder, "file"), "");
    const { cache } = writer(join(folder, "file/cache"));
    cache.schedule();
    await cache.flush();
    expect(cache.savedAtMs).toBe(0);
  });
});
