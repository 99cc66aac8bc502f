// Every rule of HTTP/2 that a peer can break here, the section that states it, and the code that answers it. Values
// made once: refusing costs no allocation, and a flood of bad frames none either.
import { ERROR } from "./error-code.ts";

export interface Refusal {
  /** The rule, for logs, counts and tests. */
  readonly detail: RefusalDetail;
  /** "connection": GOAWAY; "stream": RST_STREAM. */
  readonly scope: "connection" | "stream";
  readonly code: number;
  /** Where the rule is stated. */
  readonly section: string;
  /** What a request that broke it may be answered; 0: only a reset. Of a response the conductor answers 502. */
  readonly status: 0 | 400 | 431;
}

type Rule = readonly [scope: "connection" | "stream", code: number, section: string, status?: 400 | 431];

const { protocolError, flowControlError, frameSizeError, streamClosed, compressionError, enhanceYourCalm } = ERROR;

const RULES = {
  // Starting (RFC 9113 section 3.4)
  "bad-preface": ["connection", protocolError, "RFC 9113 3.4"],
  "settings-missing": ["connection", protocolError, "RFC 9113 3.4"],
  // Frames (sections 4 and 6)
  "frame-too-large": ["connection", frameSizeError, "RFC 9113 4.2"],
  "bad-frame-size": ["connection", frameSizeError, "RFC 9113 6"],
  "bad-padding": ["connection", protocolError, "RFC 9113 6.1"],
  "stream-id-zero": ["connection", protocolError, "RFC 9113 6"],
  "stream-id-not-zero": ["connection", protocolError, "RFC 9113 6"],
  "frame-on-idle-stream": ["connection", protocolError, "RFC 9113 5.1"],
  "bad-stream-id": ["connection", protocolError, "RFC 9113 5.1.1"],
  "continuation-expected": ["connection", protocolError, "RFC 9113 6.10"],
  "unexpected-continuation": ["connection", protocolError, "RFC 9113 6.10"],
  "push-not-allowed": ["connection", protocolError, "RFC 9113 8.4"],
  "frame-after-end": ["connection", streamClosed, "RFC 9113 5.1"],
  "frame-after-half-close": ["stream", streamClosed, "RFC 9113 5.1"],
  "frame-after-reset": ["stream", streamClosed, "RFC 9113 5.1"],
  "self-dependency": ["stream", protocolError, "RFC 7540 5.3.1"],
  "self-dependency-of-idle": ["connection", protocolError, "RFC 7540 5.3.1"],
  "bad-priority-size": ["stream", frameSizeError, "RFC 9113 6.3"],
  // Settings (section 6.5)
  "bad-setting": ["connection", protocolError, "RFC 9113 6.5.2"],
  "bad-initial-window": ["connection", flowControlError, "RFC 9113 6.5.2"],
  "unexpected-settings-ack": ["connection", protocolError, "RFC 9113 6.5.3"],
  // Flow control (sections 5.2 and 6.9)
  "window-exceeded": ["stream", flowControlError, "RFC 9113 6.9.1"],
  "connection-window-exceeded": ["connection", flowControlError, "RFC 9113 6.9.1"],
  "window-overflow": ["stream", flowControlError, "RFC 9113 6.9.1"],
  "connection-window-overflow": ["connection", flowControlError, "RFC 9113 6.9.1"],
  "stalled-stream": ["stream", ERROR.cancel, "RFC 9113 10.5"],
  "zero-window-update": ["stream", protocolError, "RFC 9113 6.9"],
  "connection-zero-window-update": ["connection", protocolError, "RFC 9113 6.9"],
  // Streams
  "too-many-streams": ["stream", ERROR.refusedStream, "RFC 9113 5.1.2"],
  "bad-goaway": ["connection", protocolError, "RFC 9113 6.8"],
  // HPACK
  "bad-index": ["connection", compressionError, "RFC 7541 2.3.3"],
  "bad-integer": ["connection", compressionError, "RFC 7541 5.1"],
  "bad-huffman": ["connection", compressionError, "RFC 7541 5.2"],
  "block-cut-short": ["connection", compressionError, "RFC 7541 5.2"],
  "bad-table-size": ["connection", compressionError, "RFC 7541 6.3"],
  "late-table-size": ["connection", compressionError, "RFC 7541 4.2"],
  "missing-table-size": ["connection", compressionError, "RFC 7541 4.2"],
  // Messages (RFC 9113 section 8, RFC 8441)
  "bad-field-name": ["stream", protocolError, "RFC 9113 8.2.1", 400],
  "bad-field-value": ["stream", protocolError, "RFC 9113 8.2.1", 400],
  "connection-field": ["stream", protocolError, "RFC 9113 8.2.2", 400],
  "bad-te": ["stream", protocolError, "RFC 9113 8.2.2", 400],
  "unknown-pseudo-field": ["stream", protocolError, "RFC 9113 8.3", 400],
  "late-pseudo-field": ["stream", protocolError, "RFC 9113 8.3", 400],
  "repeated-pseudo-field": ["stream", protocolError, "RFC 9113 8.3", 400],
  "pseudo-field-in-trailers": ["stream", protocolError, "RFC 9113 8.1"],
  "missing-pseudo-field": ["stream", protocolError, "RFC 9113 8.3.1", 400],
  "bad-method": ["stream", protocolError, "RFC 9110 9.1", 400],
  "bad-scheme": ["stream", protocolError, "RFC 9113 8.3.1", 400],
  "bad-path": ["stream", protocolError, "RFC 9113 8.3.1", 400],
  "bad-authority": ["stream", protocolError, "RFC 9113 8.3.1", 400],
  "host-disagrees": ["stream", protocolError, "RFC 9113 8.3.1", 400],
  "bad-connect": ["stream", protocolError, "RFC 9113 8.5", 400],
  "bad-protocol": ["stream", protocolError, "RFC 8441 4", 400],
  "bad-status": ["stream", protocolError, "RFC 9113 8.3.2"],
  "unexpected-101": ["stream", protocolError, "RFC 9113 8.6"],
  "interim-ends-stream": ["stream", protocolError, "RFC 9113 8.1"],
  "too-many-interim-heads": ["stream", enhanceYourCalm, "RFC 9110 15.2"],
  "data-before-head": ["stream", protocolError, "RFC 9113 8.1"],
  "fields-in-tunnel": ["stream", protocolError, "RFC 9113 8.5"],
  "trailers-without-end": ["stream", protocolError, "RFC 9113 8.1"],
  "bad-content-length": ["stream", protocolError, "RFC 9110 8.6", 400],
  "content-length-differs": ["stream", protocolError, "RFC 9113 8.1.1", 400],
  "head-too-large": ["stream", protocolError, "RFC 9113 10.5.1", 431],
  "too-many-fields": ["stream", protocolError, "RFC 9113 10.5", 431],
  // Floods (RFC 9113 section 10.5)
  "header-block-too-large": ["connection", enhanceYourCalm, "RFC 9113 10.5.1"],
  "unfinished-head": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "too-many-continuations": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "too-many-settings": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "reset-flood": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "ping-flood": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "settings-flood": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "goaway-flood": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "idle-frame-flood": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "empty-frame-flood": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "window-update-flood": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "table-update-flood": ["connection", enhanceYourCalm, "RFC 7541 7.3"],
  "control-queue-full": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
  "unread-output": ["connection", enhanceYourCalm, "RFC 9113 10.5"],
} as const satisfies Record<string, Rule>;

export type RefusalDetail = keyof typeof RULES;

export const REFUSALS: Readonly<Record<RefusalDetail, Refusal>> = Object.fromEntries(
  Object.entries(RULES as Record<string, Rule>).map(([detail, [scope, code, section, status]]) => [
    detail,
    Object.freeze({ detail, scope, code, section, status: status ?? 0 }),
  ]),
) as Record<RefusalDetail, Refusal>;
