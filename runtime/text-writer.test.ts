// Text leaves as UTF-8, in order, and a buffer is written anew only when the stream is done with it.
import { PassThrough, Writable } from "node:stream";
import { expect, test } from "vitest";
import { TextWriter } from "./text-writer.ts";

test("any text leaves as it is", async () => {
  const stream = new PassThrough();
  const writer = new TextWriter(stream);
  const texts = ["plain\n", "", "ü€😀\n", "x".repeat(300_000), "€".repeat(85_000), "\ud83d"];
  for (const text of texts) writer.write(text);
  stream.end();
  let read = "";
  for await (const chunk of stream.setEncoding("utf8")) read += chunk;
  expect(read).toBe(texts.join("").replace(/\ud83d$/, "\ufffd"));
});

test("what the stream has not written yet is not touched, and waits in no more than two buffers of ours", () => {
  const taken: { content: string | Uint8Array; done: () => void }[] = [];
  const stream = {
    writableLength: 0,
    write: (content: string | Uint8Array, done: () => void = () => {}) => void taken.push({ content, done }),
  };
  const texts = () => taken.map(({ content }) => content.toString());
  const writer = new TextWriter(stream);
  for (const text of ["one", "two", "three", "four"]) writer.write(text);
  expect(texts()).toEqual(["one", "two", "three", "four"]);
  expect(taken.map(({ content }) => typeof content)).toEqual(["object", "object", "string", "string"]);
  const [first, ...others] = taken.splice(0);
  for (const { done } of others) done();
  for (const text of ["five", "six", "seven"]) writer.write(text);
  expect(first?.content.toString()).toBe("one");
  expect(texts()).toEqual(["five", "six", "seven"]);
});

test("whoever asked is told when it is out, and of what went wrong", async () => {
  const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error("no space left")) });
  stream.on("error", () => {});
  const told = new Promise<string>((resolve) =>
    new TextWriter(stream).write("line\n", (error) => resolve(error?.message ?? "")),
  );
  expect(await told).toBe("no space left");
});
