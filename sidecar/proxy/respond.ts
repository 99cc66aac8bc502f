// The only place where a failure becomes an answer: status from the table of reasons, `x-weft-reason`, a short body
// that says what and why, as JSON for those who ask for it.
import { ownResponseHead } from "../http1/encoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { MessageOutlet } from "./contract.ts";
import type { Destination } from "./destination.ts";
import { grpcCodeOf, grpcStatusLines, isGrpc } from "./grpc.ts";
import { type Failure, REASONS } from "./reasons.ts";

export interface AnswerOptions {
  /** The request, if its head could be read. */
  readonly request: MessageHead | undefined;
  /** Put into the head as complete lines, each ending in CRLF: `location: ...`. */
  readonly lines: string;
  /** The connection does not outlive the answer. */
  readonly closes: boolean;
  readonly wallMs: number;
}

/** An answer of the sidecar's own: head and body as latin1 text. */
export interface OwnAnswer {
  readonly head: string;
  readonly body: string;
}

/** All of an answer of the sidecar's own into `outlet`. */
export function sendAnswer(outlet: MessageOutlet, { head, body }: OwnAnswer): void {
  outlet.addHead(head, false);
  if (body !== "") outlet.addBodyText(body);
  outlet.end("");
  outlet.flush();
}

/** Where a time is known after which another try makes sense, it is said in `options.lines`; see `retryAfterLine`. */
export function ownAnswer(cause: Failure, options: AnswerOptions): OwnAnswer {
  const status = statusOf(cause);
  const request = options.request;
  const isCall = cause.grpcStatus !== undefined || (request !== undefined && isGrpc(request));
  if (isCall) return grpcAnswer(cause, options);
  const json = request?.value("accept")?.includes("application/json") === true;
  const body = json ? jsonBody(cause) : textBody(cause);
  const hasBody = status >= 200 && status !== 204 && status !== 304;
  let lines = options.lines;
  if (hasBody) lines += `content-type: ${json ? "application/json" : "text/plain"}; charset=utf-8\r\n`;
  if (hasBody) lines += `content-length: ${Buffer.byteLength(body, "latin1")}\r\n`;
  lines += commonLines(cause, options);
  const sendsBody = hasBody && request?.method !== "HEAD";
  return { head: ownResponseHead(status, lines), body: sendsBody ? body : "" };
}

/** A call fails in its own terms: status 200, the code and the message in fields, no content. */
function grpcAnswer(cause: Failure, options: AnswerOptions): OwnAnswer {
  const message = textBody(cause).trimEnd();
  let lines = `${options.lines}content-type: application/grpc\r\n`;
  lines += grpcStatusLines(grpcCodeOf({ ...cause, status: statusOf(cause) }), message);
  // In HTTP/1.1 an answer without content says so.
  return { head: ownResponseHead(200, `${lines}content-length: 0\r\n${commonLines(cause, options)}`), body: "" };
}

/**
 * An answer that has begun ends with a status of gRPC behind what went out: messages are delimited by themselves, so
 * trailers may end it anywhere. @returns false where only a reset is left
 */
export function endGrpcAnswer(outlet: MessageOutlet, { isGrpc: isCall }: Destination, cause: Failure): boolean {
  if (!isCall || outlet.form !== "data") return false;
  const code = grpcCodeOf({ ...cause, status: statusOf(cause) });
  outlet.end(`${grpcStatusLines(code, textBody(cause).trimEnd())}x-weft-reason: ${cause.reason}\r\n\r\n`);
  outlet.flush();
  return true;
}

/** The field lines that end every head of the sidecar's own. */
export function commonLines(cause: Failure, { closes, request, wallMs }: AnswerOptions): string {
  let lines = `x-weft-reason: ${cause.reason}\r\ndate: ${httpDate(wallMs)}\r\n`;
  if (closes) lines += "connection: close\r\n";
  else if (request?.minorVersion === 0) lines += "connection: keep-alive\r\n";
  return lines;
}

/** A 2xx to CONNECT has neither body nor length (RFC 9110 section 9.3.6). */
export function tunnelAnswerText(wallMs: number): string {
  return ownResponseHead(200, `x-weft-reason: tunnel\r\ndate: ${httpDate(wallMs)}\r\n`);
}

export function statusOf(cause: Failure): number {
  return cause.status > 0 ? cause.status : REASONS[cause.reason].status;
}

/** Whole seconds, rounded up (RFC 9110 section 10.2.3). */
export function retryAfterLine(waitMs: number): string {
  return `retry-after: ${Math.max(1, Math.ceil(waitMs / 1_000))}\r\n`;
}

function textBody(cause: Failure): string {
  const detail = cause.detail === "" ? "" : `: ${asLatin1(cause.detail)}`;
  return `${cause.reason}: ${REASONS[cause.reason].text}${detail}\n`;
}

function jsonBody(cause: Failure): string {
  const { reason } = cause;
  return `${JSON.stringify({ reason, message: REASONS[reason].text, detail: asLatin1(cause.detail) })}\n`;
}

/** Answers are written as latin1; what is beyond becomes a question mark, and so does what could end a line. */
function asLatin1(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}

let dateSecond = -1;
let dateText = "";

/** IMF-fixdate (RFC 9110 section 5.6.7), made once a second. */
function httpDate(wallMs: number): string {
  const second = Math.floor(wallMs / 1_000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(wallMs).toUTCString();
  }
  return dateText;
}
