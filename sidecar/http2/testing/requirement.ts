// One requirement of an RFC as a case: octets in, what handlers are told and what is written back. It is sent whole, cut
// in two at every byte, and byte by byte. For tests.
import { expect } from "vitest";
import { Script, type ScriptOptions } from "./script.ts";

export type Case = readonly [
  rule: string,
  sent: readonly Buffer[],
  /** Lines of handlers, then lines of frames; the acknowledgement of the peer's first SETTINGS is left out. */
  expected: readonly string[],
  options?: Partial<ScriptOptions>,
];

/** The connection ends. */
export const refused = (code: string, detail: string, last = 0, before: readonly string[] = []): string[] => [
  ...before,
  "closed refused",
  `> GOAWAY ${last} ${code} ${detail}`,
];
/** Stream 1 ends, before any handler knew of it. */
export const malformed = (detail: string, before: readonly string[] = []): string[] => [
  ...before,
  `refused 1 ${detail}`,
  "> RST_STREAM 1 PROTOCOL_ERROR",
];
export const resetAll = (code: string): string => `reset 1 connection ${code}`;

/** Longer cases are cut at some bytes only. */
const CUTS_MAX = 400;

/** @param start what the peer begins with */
export function check(role: "server" | "client", start: readonly Buffer[], [, sent, expected, options]: Case): void {
  const bytes = Buffer.concat([...start, ...sent]);
  const requests = role === "client" ? ["GET"] : [];
  const run = (positions: readonly number[]): string[] => {
    const script = new Script({ role, requests, ...options });
    script.send(bytes, positions);
    const lines = [...script.lines];
    const ack = lines.indexOf("> SETTINGS ack");
    if (start.length > 0) lines.splice(ack, 1);
    return lines;
  };
  expect(run([])).toEqual(expected);
  const stride = Math.ceil(bytes.length / CUTS_MAX);
  for (let at = 1; at < bytes.length; at += stride) expect(run([at]), `cut at ${at}`).toEqual(expected);
  if (stride === 1) expect(run(Array.from(bytes.keys())), "byte by byte").toEqual(expected);
}
