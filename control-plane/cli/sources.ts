// Rule sources named by -f: files, directories and standard input, read whole and within bounds. Their content
// is not looked at here.
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CliFailure, usageFailure } from "./failure.ts";
import type { Shell } from "./shell.ts";

/** Largest single file; the largest rule documents seen in the field are two orders smaller. */
export const SOURCE_BYTES_MAX = 4 * 1024 * 1024;
/** Files that one -f DIR -R may bring in. */
const SOURCES_MAX = 10_000;
const EXTENSIONS = [".yaml", ".yml", ".json"];

export interface SourceFile {
  readonly name: string;
  readonly content: Buffer;
}

/** Reads every named source in the order given; a directory gives its files by name. */
export async function readSource(path: string): Promise<SourceFile> {
  try {
    return { name: path, content: await readBounded(path, createReadStream(path)) };
  } catch (error) {
    throw error instanceof CliFailure ? error : cannotRead(path, error);
  }
}

async function readStdin(shell: Shell): Promise<SourceFile> {
  return { name: "-", content: await readBounded("standard input", shell.stdin) };
}

/** Stops at the bound, so that a device or an endless pipe is refused like a large file. */
async function readBounded(name: string, stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > SOURCE_BYTES_MAX) throw tooLarge(name);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(name: string): CliFailure {
  return usageFailure(`${name}: too large; expected at most 4 MiB`, "split it into several files");
}

function cannotRead(path: string, error: unknown): CliFailure {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const words: Readonly<Record<string, string>> = {
    ENOENT: "no such file or directory",
    EACCES: "permission denied",
    EISDIR: "is a directory",
  };
  return usageFailure(`${path}: ${words[code] ?? (error instanceof Error ? error.message : String(error))}`);
}
