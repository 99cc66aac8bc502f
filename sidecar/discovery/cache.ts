// The last good configuration on disk, for starting while the control plane is away. One file of two lines: a
// header that says what follows, with its length and SHA-256, and the content. Replaced as a whole by rename, so a
// reader sees the old one or the new one; anything else is a damaged file, which is refused and never acted on.
import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import { CACHE_BYTES_MAX, CACHE_MAX_MS, CACHE_QUIET_MS } from "./limits.ts";

const FORMAT = "weft-sidecar-cache";
const FORMAT_VERSION = 1;

interface Header {
  readonly format: string;
  readonly version: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** What a cache file holds. */
export interface CacheContent {
  /** `namespace/name` of the service that the sidecar stood beside: another service's cache is not for this one. */
  readonly service: string;
  readonly revision: number;
  /** Milliseconds since the epoch. */
  readonly savedAtMs: number;
  readonly subscriptions: readonly string[];
  readonly resources: readonly { readonly name: string; readonly version: string; readonly body: unknown }[];
}

export type CacheLoad =
  | { readonly outcome: "loaded"; readonly content: CacheContent }
  | { readonly outcome: "absent" }
  | { readonly outcome: "refused"; readonly reason: string };

/** Reads a cache file. Never throws: a file that cannot be used is refused with the reason in words. */
export async function readCache(file: string, service: string): Promise<CacheLoad> {
  try {
    if ((await stat(file)).size > CACHE_BYTES_MAX) return refused(`it is larger than ${CACHE_BYTES_MAX} bytes`);
    return decodeCache(await readFile(file), service);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { outcome: "absent" };
    return refused(error instanceof Error ? error.message : String(error));
  }
}

function decodeCache(bytes: Buffer, service: string): CacheLoad {
  const newline = bytes.indexOf(0x0a);
  if (newline < 0) return refused("it has no header line");
  const header = parseHeader(bytes.subarray(0, newline).toString("utf8"));
  if (header === undefined) return refused("its first line is not the header of a cache file");
  if (header.version !== FORMAT_VERSION)
    return refused(`it has format version ${header.version}, not ${FORMAT_VERSION}`);
  const payload = bytes.subarray(newline + 1);
  if (payload.length !== header.bytes)
    return refused(`it holds ${payload.length} bytes, its header says ${header.bytes}`);
  if (sha256(payload) !== header.sha256) return refused("its checksum does not match its content");
  const content = JSON.parse(payload.toString("utf8")) as CacheContent | null;
  if (!isWhole(content)) return refused("its content is not what its format says");
  if (content.service !== service) return refused(`it belongs to service ${content.service}, not ${service}`);
  return { outcome: "loaded", content };
}

function parseHeader(line: string): Header | undefined {
  try {
    const header = JSON.parse(line) as Partial<Header> | null;
    return header?.format === FORMAT ? (header as Header) : undefined;
  } catch {
    return undefined;
  }
}

/** The resources themselves are checked by whoever applies them. */
function isWhole(content: CacheContent | null): content is CacheContent {
  if (content === null || typeof content !== "object") return false;
  const { revision, savedAtMs, subscriptions, resources } = content;
  const isNumbered = Number.isSafeInteger(revision) && Number.isSafeInteger(savedAtMs) && savedAtMs < 8.64e15;
  return isNumbered && Array.isArray(resources) && Array.isArray(subscriptions);
}

function refused(reason: string): CacheLoad {
  return { outcome: "refused", reason };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Replaces the file atomically and durably: a new file is written and synced, then renamed over the old one. */
export async function writeCache(file: string, content: CacheContent): Promise<void> {
  const payload = Buffer.from(JSON.stringify(content));
  const header: Header = { format: FORMAT, version: FORMAT_VERSION, bytes: payload.length, sha256: sha256(payload) };
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  const temporary = `${file}.tmp`;
  await using handle = await open(temporary, "w", 0o600);
  await handle.writeFile(Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), payload]));
  await handle.sync();
  await rename(temporary, file);
  await using directory = await open(folder, "r");
  await directory.sync();
}

export interface CacheWriterOptions {
  readonly file: string;
  /** Called when it is time to write, so that what is written is what is in use then. */
  readonly content: () => CacheContent;
  readonly clock: Clock;
  readonly log: Log;
}

/** Writes the cache some time after changes, one write at a time, and never stops the sidecar for a full disk. */
export class CacheWriter {
  readonly #options: CacheWriterOptions;
  #quiet: Timer | undefined;
  #latest: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;
  #savedAtMs = 0;

  constructor(options: CacheWriterOptions) {
    this.#options = options;
  }

  /** Milliseconds since the epoch of the last good write; 0 for none. */
  get savedAtMs(): number {
    return this.#savedAtMs;
  }

  /** Something changed: write soon. */
  schedule(): void {
    const { clock } = this.#options;
    this.#quiet?.cancel();
    this.#quiet = clock.after(CACHE_QUIET_MS, () => this.#writeNow());
    this.#latest ??= clock.after(CACHE_MAX_MS, () => this.#writeNow());
  }

  /** Writes what is scheduled and resolves when the disk has it. */
  flush(): Promise<void> {
    if (this.#latest !== undefined) this.#writeNow();
    return this.#writing;
  }

  #writeNow(): void {
    this.#quiet?.cancel();
    this.#latest?.cancel();
    this.#quiet = undefined;
    this.#latest = undefined;
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    const { file, content, log, clock } = this.#options;
    try {
      await writeCache(file, content());
      this.#savedAtMs = clock.wall();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) log.warn({ file, reason: String(error) }, "cannot write the cache file; going on without it");
      this.#failing = true;
    }
  }
}
