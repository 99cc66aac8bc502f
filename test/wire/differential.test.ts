// Seconds of the differential fuzz against llhttp; minutes of it are `npm run fuzz`. A failure prints the seed, the
// path and the shrunk bytes: `node scripts/fuzz-http1.ts --seed N` repeats it.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkRequests, checkResponse } from "./differential.ts";
import { cuts, requestBytes, responseBytes } from "./generate.ts";
import { readRequests, readResponse } from "./llhttp.ts";
import { logOf } from "./message-log.ts";

const RUNS = 4000;

describe("against llhttp", () => {
  it("has a second opinion that reads and refuses", async () => {
    const good = await readRequests(
      Buffer.from("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n"),
    );
    expect(good).toEqual({
      messages: [
        { startLine: "POST / 1.1", fields: ["Transfer-Encoding", "chunked"], body: "x", trailers: ["A", "b"] },
      ],
      error: undefined,
    });
    expect((await readRequests(Buffer.from("GET / HTTP/1.1\r\nA: b\n\r\n"))).error).toBe("HPE_CR_EXPECTED");
    expect((await readResponse(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"), "GET")).error).toBe(
      "aborted",
    );
  });

  it("reads every request that it accepts as llhttp does, and so does the next hop", async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(requestBytes, cuts, async (bytes, positions) => {
        if (logOf({ kind: "request" }, [bytes]).messages.length > 0) accepted++;
        expect(await checkRequests(bytes, positions)).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
    expect(accepted).toBeGreaterThan(RUNS / 10);
  });

  it("reads every response that it accepts as llhttp does", async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(responseBytes, cuts, fc.constantFrom("GET", "HEAD"), async (bytes, positions, method) => {
        if (logOf({ kind: "response", method }, [bytes]).messages.length > 0) accepted++;
        expect(await checkResponse(bytes, positions, method)).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
    expect(accepted).toBeGreaterThan(RUNS / 10);
  });
});
