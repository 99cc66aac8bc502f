// Rate limits: a token bucket per key, for a bounded number of keys. A bucket holds `burst` tokens and gains `requests`
// of them per `perMs`, continuously. Tells what the `ratelimit` and `retry-after` fields say.
import { createHash } from "node:crypto";
import { LruMap } from "./lru-map.ts";

export interface RateSettings {
  readonly requests: number;
  readonly perMs: number;
  /** What a full bucket holds. */
  readonly burst: number;
  readonly maxKeys: number;
}

class Bucket {
  tokens = 0;
  atMs = 0;

  constructor(tokens: number, nowMs: number) {
    this.tokens = tokens;
    this.atMs = nowMs;
  }
}

/** Guards against the last bit: a token that refilled to 0.9999999999 is a token. */
const EPSILON = 1e-9;

export class TokenBuckets {
  readonly settings: RateSettings;
  readonly #perMs: number;
  readonly #buckets: LruMap<Bucket>;
  #current: Bucket;

  constructor(settings: RateSettings) {
    this.settings = settings;
    this.#perMs = settings.requests / settings.perMs;
    this.#buckets = new LruMap(settings.maxKeys);
    this.#current = new Bucket(settings.burst, 0);
  }

  get keyCount(): number {
    return this.#buckets.size;
  }

  /** Is there a token for `key`? Takes none; `take`, `remaining` and `waitMs` are about this key until the next call. */
  has(key: string, nowMs: number): boolean {
    const { burst } = this.settings;
    const bucket = this.#buckets.take(boundedKey(key), () => new Bucket(burst, nowMs));
    const elapsedMs = nowMs - bucket.atMs;
    if (elapsedMs > 0) {
      bucket.tokens = Math.min(burst, bucket.tokens + elapsedMs * this.#perMs);
      bucket.atMs = nowMs;
    }
    this.#current = bucket;
    return bucket.tokens >= 1 - EPSILON;
  }

  /** Takes the token that `has` saw. */
  take(): void {
    this.#current.tokens = Math.max(0, this.#current.tokens - 1);
  }

  /** Whole tokens left. */
  get remaining(): number {
    return Math.floor(this.#current.tokens + EPSILON);
  }

  /** Milliseconds until there is a token. */
  get waitMs(): number {
    return Math.max(0, (1 - this.#current.tokens) / this.#perMs);
  }

  /** Milliseconds until the bucket is full again. */
  get resetMs(): number {
    return (this.settings.burst - this.#current.tokens) / this.#perMs;
  }
}

/** A stranger chooses the keys: what is longer than this is remembered by its digest. */
const KEY_LENGTH_MAX = 128;

function boundedKey(key: string): string {
  return key.length <= KEY_LENGTH_MAX ? key : createHash("sha256").update(key).digest("base64");
}

/**
 * The RateLimit and RateLimit-Policy fields (draft-ietf-httpapi-ratelimit-headers, version 09 and later): what is left
 * of which policy, and when it is whole again.
 */
export function rateLimitLines(name: string, buckets: TokenBuckets): string {
  const { requests, perMs, burst } = buckets.settings;
  const quoted = `"${name.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "")}"`;
  const windowSeconds = Math.max(1, Math.ceil((burst * perMs) / requests / 1_000));
  const resetSeconds = Math.max(0, Math.ceil(buckets.resetMs / 1_000));
  return (
    `ratelimit-policy: ${quoted};q=${burst};w=${windowSeconds}\r\n` +
    `ratelimit: ${quoted};r=${buckets.remaining};t=${resetSeconds}\r\n`
  );
}
