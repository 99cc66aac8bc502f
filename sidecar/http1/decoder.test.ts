// Decoders of many connections share what reads heads; what they read is in test/wire/*.md.
import { describe, expect, it } from "vitest";
import { NEEDS_MORE, REFUSED } from "./contract.ts";
import { RequestDecoder, type ResponseDecoder, responseDecoders } from "./decoder.ts";
import { DEFAULT_HTTP1_LIMITS } from "./limits.ts";

describe("decoders that share what reads for them", () => {
  const read = (decoder: RequestDecoder | ResponseDecoder, text: string) => {
    const bytes = Buffer.from(text);
    return decoder.decodeHead(bytes, 0, bytes.length);
  };

  it("do not disturb each other, wherever heads are cut and one is refused between", () => {
    const texts = Array.from({ length: 5 }, (_, n) => `GET /${n} HTTP/1.1\r\nHost: h${n}\r\nX-${n}: ${n}\r\n\r\n`);
    const decoders = texts.map(() => new RequestDecoder());
    for (let round = 0; round < 2; round++) {
      const length = texts[0]?.length ?? 0;
      for (let at = 0; at < length; at++) {
        for (const [n, decoder] of decoders.entries())
          expect(read(decoder, texts[n]?.charAt(at) ?? "")).toBe(at === length - 1 ? 1 : NEEDS_MORE);
        const other = new RequestDecoder();
        expect(read(other, "GET / HTTP/1.1\r\nHost: whole\r\n\r\n")).toBeGreaterThan(0);
        expect(other.head.authority).toBe("whole");
        expect(read(new RequestDecoder(), "GET  / HTTP/1.1\r\n")).toBe(REFUSED);
        if (at === 20) decoders[4]?.reset();
        if (at === 20) read(decoders[4] as RequestDecoder, texts[4]?.slice(0, 21) ?? "");
      }
      for (const [n, { head }] of decoders.entries())
        expect([head.path, head.authority, head.value(`x-${n}`), head.fieldCount]).toEqual([
          `/${n}`,
          `h${n}`,
          `${n}`,
          2,
        ]);
      for (const decoder of decoders) decoder.reset();
    }
  });

  it("read one answer after the other with the one that all share", () => {
    const shared = responseDecoders.of({ ...DEFAULT_HTTP1_LIMITS });
    const cut = shared.current;
    cut.reset();
    cut.expect("GET", "");
    expect(read(cut, "HTTP/1.1 200 O")).toBe(NEEDS_MORE);
    expect(shared.keep()).toBe(cut);
    const whole = shared.current;
    whole.reset();
    whole.expect("HEAD", "");
    expect(read(whole, "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n")).toBe(33);
    expect(read(cut, "K\r\nContent-Length: 3\r\n\r\n")).toBeGreaterThan(0);
    expect([whole.head.status, whole.head.value("x"), cut.head.status, cut.head.contentLength]).toEqual([
      204,
      "1",
      200,
      3,
    ]);
    cut.release();
    shared.giveBack(cut);
    shared.keep();
    expect(shared.current).toBe(cut);
  });
});
