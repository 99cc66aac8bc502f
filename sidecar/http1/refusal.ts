// Every rule of HTTP/1.1 that a message can break here, and what is answered. Values made once: refusing costs no
// allocation, and a flood of bad requests none either.
import type { Refusal, Side } from "./contract.ts";

const BAD = { status: 400, reason: "bad-request" } as const;
const LARGE = { status: 431, reason: "header-too-large" } as const;

/** What a client is told. Of a response the answer is 502 `bad-response`, whatever was wrong with it. */
const RULES = {
  // Lines (RFC 9112 section 2.2)
  "bare-lf": BAD,
  "bare-cr": BAD,
  // Request line (section 3)
  "empty-lines": BAD,
  "bad-method": BAD,
  "bad-target": BAD,
  "bad-request-line": BAD,
  "bad-version": BAD,
  "version-not-supported": { status: 505, reason: "version-not-supported" },
  "start-line-too-long": { status: 414, reason: "uri-too-long" },
  "bad-authority": BAD,
  "bad-scheme": BAD,
  // Status line (section 4)
  "bad-status-line": BAD,
  // Fields (section 5)
  "head-too-large": LARGE,
  "too-many-fields": LARGE,
  "obs-fold": BAD,
  "space-before-field": BAD,
  "space-before-colon": BAD,
  "bad-field-name": BAD,
  "missing-colon": BAD,
  "bad-field-value": BAD,
  // Host (RFC 9112 section 3.2)
  "host-missing": BAD,
  "host-repeated": BAD,
  "bad-host": BAD,
  "host-disagrees": BAD,
  // Body length (section 6)
  "content-length-repeated": BAD,
  "bad-content-length": BAD,
  "transfer-encoding-repeated": BAD,
  "transfer-encoding-with-content-length": BAD,
  "transfer-encoding-in-1.0": BAD,
  "bad-transfer-encoding": BAD,
  "chunked-not-final": BAD,
  "chunked-repeated": BAD,
  "unknown-transfer-coding": { status: 501, reason: "not-implemented" },
  "body-not-allowed": BAD,
  "unexpected-upgrade": BAD,
  "bad-connection": BAD,
  // Chunks (section 7.1)
  "bad-chunk-size": BAD,
  "chunk-size-overflow": BAD,
  "bad-chunk-extension": BAD,
  "chunk-line-too-long": BAD,
  "chunk-extensions-too-large": BAD,
  "bad-chunk-end": BAD,
  "trailers-too-large": LARGE,
  "too-many-trailers": LARGE,
} as const satisfies Record<string, Pick<Refusal, "status" | "reason">>;

export type RefusalDetail = keyof typeof RULES;

/** The closed list, for documents and tests. */
export const REFUSAL_DETAILS: readonly RefusalDetail[] = Object.keys(RULES) as RefusalDetail[];

const downstream = new Map<RefusalDetail, Refusal>();
const upstream = new Map<RefusalDetail, Refusal>();
for (const detail of REFUSAL_DETAILS) {
  downstream.set(detail, Object.freeze({ ...RULES[detail], detail }));
  upstream.set(detail, Object.freeze({ status: 502, reason: "bad-response", detail }));
}

/** The refusal for a broken rule, by the side whose message broke it. */
export function refusalOf(detail: RefusalDetail, side: Side): Refusal {
  const refusal = (side === "downstream" ? downstream : upstream).get(detail);
  if (refusal === undefined) throw new Error(`no such refusal: ${detail}`);
  return refusal;
}
