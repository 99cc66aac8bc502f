// The last good responses of one service, for answers while it is down (`fallback.staleFor`; stale-if-error of RFC 5861).
// Says what may be kept for whom, and forgets the least recently kept past its bounds. Not an HTTP cache: what is
// here is never an answer while the service gives one.

/** Of one service in one sidecar. */
const ENTRIES_MAX = 256;
const BYTES_MAX = 4 * 1024 * 1024;
/** A larger response is not kept. */
export const RESPONSE_BYTES_MAX = 256 * 1024;

export interface GoodResponse {
  /** Complete field lines, without those that frame the body or belong to one hop. */
  readonly lines: string;
  readonly body: Buffer;
  /** When it came, by the clock. */
  readonly keptMs: number;
}

/** What is asked of heads. */
interface Fields {
  value(lowerName: string): string | undefined;
}

interface RequestHead extends Fields {
  readonly method: string;
  readonly authority: string;
  readonly target: string;
}

interface ResponseHead extends Fields {
  readonly status: number;
}

/** Request fields that the key holds, so responses may differ by them. */
const KEY_FIELDS = ["accept", "accept-encoding", "accept-language", "origin"] as const;
/** With one of these the response may be somebody's own. */
const PERSONAL_FIELDS = ["authorization", "cookie", "range"] as const;

/**
 * Under which the response to a request is kept; undefined when none is: only GET, and nothing that names a user,
 * because the next one who asks may be another.
 */
export function keyOf(request: RequestHead): string | undefined {
  if (request.method !== "GET") return undefined;
  for (const name of PERSONAL_FIELDS) if (request.value(name) !== undefined) return undefined;
  if (/no-store/i.test(request.value("cache-control") ?? "")) return undefined;
  let key = `${request.authority} ${request.target}`;
  for (const name of KEY_FIELDS) key += `\n${request.value(name) ?? ""}`;
  return key;
}

/** May it be given to others (RFC 9111 section 3), and after its time (section 4.2.4)? */
export function isKeepable(response: ResponseHead): boolean {
  if (response.status !== 200 || response.value("set-cookie") !== undefined) return false;
  if (/no-store|private|must-revalidate|proxy-revalidate/i.test(response.value("cache-control") ?? "")) return false;
  const vary = (response.value("vary") ?? "").toLowerCase().split(",");
  return vary.every((name) => name.trim() === "" || KEY_FIELDS.includes(name.trim() as (typeof KEY_FIELDS)[number]));
}

export class LastGood {
  /** Kept longest ago first. */
  readonly #entries = new Map<string, GoodResponse>();
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  keep(key: string, response: GoodResponse): void {
    const bytes = bytesOf(key, response);
    this.#forget(key);
    if (bytes > RESPONSE_BYTES_MAX) return;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < ENTRIES_MAX && this.#bytes + bytes <= BYTES_MAX) break;
      this.#forget(oldest);
    }
    this.#entries.set(key, response);
    this.#bytes += bytes;
  }

  /** The response kept under `key`, if it is no older than `maxAgeMs`. */
  find(key: string, nowMs: number, maxAgeMs: number): GoodResponse | undefined {
    const response = this.#entries.get(key);
    if (response === undefined || nowMs - response.keptMs <= maxAgeMs) return response;
    this.#forget(key);
    return undefined;
  }

  #forget(key: string): void {
    const response = this.#entries.get(key);
    if (response === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= bytesOf(key, response);
  }
}

function bytesOf(key: string, { lines, body }: GoodResponse): number {
  return key.length + lines.length + body.length;
}
