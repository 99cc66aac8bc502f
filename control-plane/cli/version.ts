// The version of this package, read from the nearest package.json above: the same in a checkout and when built.
import { readFileSync } from "node:fs";

/** Directories looked through, from this file's own upwards. */
const LEVELS_MAX = 6;

export const CLI_VERSION = packageVersion();

function packageVersion(): string {
  for (let level = 0; level < LEVELS_MAX; level++) {
    const version = versionIn(new URL(`${"../".repeat(level)}package.json`, import.meta.url));
    if (version !== undefined) return version;
  }
  return "unknown";
}

function versionIn(file: URL): string | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof manifest !== "object" || manifest === null || !("name" in manifest)) return undefined;
    return manifest.name === "weft" && "version" in manifest ? String(manifest.version) : undefined;
  } catch {
    return undefined;
  }
}
