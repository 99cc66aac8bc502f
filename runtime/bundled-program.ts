// Finds the one file that a program was bundled into (scripts/bundle.ts), as long as all that it was made from is as it
// was: whoever changes a source runs the sources. Not the making of it.
import { readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/** Where the bundles of a checkout are, from its root on. */
export const BUNDLES = "node_modules/.cache/weft/bundles";

/** Says what one bundle was made from; written when all of it is there. */
export interface BundleManifest {
  /** Sources, from the root of the checkout: time of the last change in milliseconds, and bytes. */
  readonly sources: Readonly<Record<string, readonly [mtimeMs: number, bytes: number]>>;
}

/**
 * @param program path of its source from the root of the checkout, without extension
 * @param root of the checkout, when it is not the one that this file is in
 * @returns path of its bundle; undefined where there is none that is up to date, and in the published package, whose
 * programs are bundles themselves
 */
export function bundledProgram(program: string, root: string = ROOT): string | undefined {
  if (extname(import.meta.filename) !== ".ts") return undefined;
  const bundle = join(root, BUNDLES, program);
  try {
    const { sources } = JSON.parse(readFileSync(`${bundle}.json`, "utf8")) as BundleManifest;
    for (const [source, [mtimeMs, bytes]] of Object.entries(sources)) {
      const now = statSync(join(root, source));
      if (now.mtimeMs !== mtimeMs || now.size !== bytes) return undefined;
    }
    return `${bundle}.js`;
  } catch {
    return undefined;
  }
}
