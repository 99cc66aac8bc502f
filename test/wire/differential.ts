// What must hold between this codec and llhttp for any bytes at all. Each check returns what is wrong, or undefined.
import { METHODS } from "node:http";
import { type Outcome, type Reading, readRequests, readResponse } from "./llhttp.ts";
import { type LoggedMessage, logOf } from "./message-log.ts";

const KNOWN_METHODS = new Set(METHODS);

/** bytes in pieces; positions past the end do nothing. */
function cutAt(bytes: Uint8Array, positions: readonly number[]): Uint8Array[] {
  const sorted = [0, ...positions.filter((at) => at < bytes.length), bytes.length].sort((left, right) => left - right);
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

/**
 * 1. However the bytes are cut, the reading is one. 2. What is accepted, llhttp accepts and reads alike. 3. What
 * goes on to the next hop is read there, by llhttp and by this codec, as the messages that came.
 */
export async function checkRequests(bytes: Uint8Array, cuts: readonly number[]): Promise<string | undefined> {
  const ours = logOf({ kind: "request", form: "data" }, [bytes]);
  const cut = logOf({ kind: "request", form: "data" }, cutAt(bytes, cuts));
  if (cut.lines.join("\n") !== ours.lines.join("\n")) return `cut at ${cuts}: ${cut.lines.at(-1)}`;
  const accepted = untilClose(ours.messages);
  if (accepted.length === 0 || accepted.some((message) => !KNOWN_METHODS.has(message.method))) return undefined;
  // Only what was accepted is put to llhttp: a fault behind it would make Node drop what it read before.
  const prefix = bytes.subarray(0, ours.ends[accepted.length - 1]);
  const problem = compare(accepted, await readRequests(prefix));
  if (problem !== undefined) return problem;
  return accepted.some((message) => message.method === "CONNECT") ? undefined : checkForwarded(prefix, accepted);
}

async function checkForwarded(bytes: Uint8Array, accepted: readonly LoggedMessage[]): Promise<string | undefined> {
  const forwarded = Buffer.from(logOf({ kind: "request", form: "wire" }, [bytes]).forwarded, "latin1");
  const again = logOf({ kind: "request", form: "data" }, [forwarded]);
  const next = await readRequests(forwarded);
  // Host is the caller's to give where HTTP/1.0 had none.
  if (accepted.some((message) => !message.fields.some((name) => name.toLowerCase() === "host"))) return undefined;
  const expected = accepted.map((message) => `${message.method} ${message.originForm} 1.1\n${message.body}`);
  const read = (messages: readonly Reading[]): string[] =>
    messages.map((message) => `${message.startLine}\n${message.body}`);
  if (again.lines.at(-1) !== "closed") return `forwarded, this codec: ${again.lines.at(-1)}`;
  if (next.error !== undefined) return `forwarded, llhttp: ${next.error}`;
  if (read(again.messages).join("\n") !== expected.join("\n")) return "forwarded, this codec reads other messages";
  return read(next.messages).join("\n") === expected.join("\n") ? undefined : "forwarded, llhttp reads other messages";
}

/** The same for the final response to one request. */
export async function checkResponse(
  bytes: Uint8Array,
  cuts: readonly number[],
  method: string,
): Promise<string | undefined> {
  const ours = logOf({ kind: "response", method, form: "data" }, [bytes]);
  const cut = logOf({ kind: "response", method, form: "data" }, cutAt(bytes, cuts));
  if (cut.lines.join("\n") !== ours.lines.join("\n")) return `cut at ${cuts}: ${cut.lines.at(-1)}`;
  const final = ours.messages.findIndex((message) => !/^1\.\d 1\d\d/.test(message.startLine));
  if (final < 0) return undefined;
  // llhttp takes `Connection: close` of an interim response for the end; it speaks of the final one.
  if (ours.messages.slice(0, final).some((message) => !message.keepAlive)) return undefined;
  const prefix = bytes.subarray(0, ours.ends[final]);
  const accepted = ours.messages.slice(0, final + 1);
  return (
    compare(accepted, await readResponse(prefix, method)) ?? (await checkForwardedResponse(prefix, accepted, method))
  );
}

async function checkForwardedResponse(
  bytes: Uint8Array,
  accepted: readonly LoggedMessage[],
  method: string,
): Promise<string | undefined> {
  const forwarded = Buffer.from(logOf({ kind: "response", method, form: "wire" }, [bytes]).forwarded, "latin1");
  const next = await readResponse(forwarded, method);
  if (next.error !== undefined) return `forwarded, llhttp: ${next.error}`;
  const expected = accepted.map((message) => `1.1${message.startLine.slice(3)}\n${message.body}`).join("\n");
  const read = next.messages.map((message) => `${message.startLine}\n${message.body}`).join("\n");
  return read === expected ? undefined : `forwarded, llhttp reads ${JSON.stringify(read)}`;
}

/** A request that ends the connection, or may end HTTP on it, is the last one that llhttp reads. */
function untilClose(messages: readonly LoggedMessage[]): readonly LoggedMessage[] {
  const last = messages.findIndex(
    (message) => !message.keepAlive || message.hasUpgrade || message.method === "CONNECT",
  );
  return last < 0 ? messages : messages.slice(0, last + 1);
}

function compare(ours: readonly LoggedMessage[], theirs: Outcome): string | undefined {
  if (theirs.error !== undefined) return `llhttp refused: ${theirs.error}`;
  if (theirs.messages.length !== ours.length) return `llhttp read ${theirs.messages.length} of ${ours.length}`;
  for (let index = 0; index < ours.length; index++) {
    const problem = difference(ours[index] as LoggedMessage, theirs.messages[index] as Reading);
    if (problem !== undefined) return `message ${index}: ${problem}`;
  }
  return undefined;
}

function difference(ours: LoggedMessage, theirs: Reading): string | undefined {
  if (ours.startLine !== theirs.startLine) return `start line ${ours.startLine} against ${theirs.startLine}`;
  if (ours.fields.join("\n") !== theirs.fields.join("\n")) return `fields ${ours.fields} against ${theirs.fields}`;
  if (ours.body !== theirs.body) return `body ${JSON.stringify(ours.body)} against ${JSON.stringify(theirs.body)}`;
  if (ours.trailers.join("\n") !== theirs.trailers.join("\n"))
    return `trailers ${ours.trailers} against ${theirs.trailers}`;
  return undefined;
}
