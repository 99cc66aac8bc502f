// The style that a linter cannot say: which room may import which, what is banned where, that every file says what
// it is, that code and documents name the same things, and that generated code is what its source gives.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "..");
const LINES_MAX = 400;

const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && file !== "node_modules");

const sources = tracked.filter((file) => file.endsWith(".ts") && !file.startsWith("proto/gen/"));
const programs = sources.filter((file) => !isTest(file) && !/^(bench|scripts|test|examples)\/|^vitest/.test(file));
const texts = new Map(sources.map((file) => [file, readFileSync(path.join(ROOT, file), "utf8")]));

function isTest(file: string): boolean {
  return file.endsWith(".test.ts") || file.startsWith("test/") || file.includes("/testing/");
}

function text(file: string): string {
  return texts.get(file) ?? "";
}

/** Files of the project that a file imports, type-only imports included. */
function importsOf(file: string): string[] {
  const specifiers = [...text(file).matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)].map(
    (match) => match[1] ?? "",
  );
  return specifiers.map((specifier) => path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier)));
}

// Which rooms a room may import besides itself. The longest key that prefixes a file's path is its room.
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  "proto/": [],
  "runtime/": [],
  "rules/": [],
  "sidecar/http1/": ["runtime/", "rules/"],
  "sidecar/http2/": ["runtime/", "rules/"],
  "sidecar/policy/": ["runtime/", "rules/"],
  "sidecar/balance/": ["runtime/", "rules/"],
  "sidecar/upstream/": ["runtime/", "rules/"],
  "sidecar/observe/": ["runtime/", "rules/"],
  "sidecar/route/": ["runtime/", "rules/"],
  "sidecar/cluster": ["runtime/", "rules/", "sidecar/balance/", "sidecar/policy/", "sidecar/upstream/"],
  "sidecar/snapshot": [
    "runtime/",
    "rules/",
    "sidecar/cluster",
    "sidecar/route/",
    "sidecar/observe/",
    "sidecar/balance/",
    "sidecar/policy/",
    "sidecar/upstream/",
  ],
  "sidecar/resolver": [],
  "sidecar/limits": ["runtime/", "sidecar/http1/", "sidecar/http2/"],
  "sidecar/proxy/": [
    "runtime/",
    "rules/",
    "sidecar/http1/",
    "sidecar/http2/",
    "sidecar/route/",
    "sidecar/cluster",
    "sidecar/policy/",
    "sidecar/balance/",
    "sidecar/upstream/",
    "sidecar/observe/",
    "sidecar/snapshot",
    "sidecar/resolver",
    "sidecar/limits",
  ],
  "sidecar/discovery/": ["runtime/", "rules/", "proto/", "sidecar/snapshot", "sidecar/resolver", "sidecar/limits"],
  "sidecar/admin/": ["runtime/", "rules/", "sidecar/snapshot", "sidecar/observe/", "sidecar/limits"],
  "sidecar/app/": ["runtime/"],
  "sidecar/": ["runtime/", "rules/", "proto/", "sidecar/"],
  "control-plane/store/": ["runtime/", "rules/"],
  "control-plane/limits": [],
  "control-plane/metrics": ["runtime/"],
  "control-plane/registry/": ["runtime/", "rules/", "proto/", "control-plane/limits", "control-plane/store/"],
  "control-plane/push/": [
    "runtime/",
    "rules/",
    "proto/",
    "control-plane/limits",
    "control-plane/metrics",
    "control-plane/store/",
    "control-plane/registry/",
  ],
  "control-plane/telemetry/": ["runtime/", "rules/", "proto/"],
  "control-plane/rollout/": [
    "runtime/",
    "rules/",
    "proto/",
    "control-plane/store/",
    "control-plane/registry/",
    "control-plane/push/",
    "control-plane/telemetry/",
  ],
  "control-plane/discovery/": [
    "runtime/",
    "rules/",
    "proto/",
    "control-plane/limits",
    "control-plane/metrics",
    "control-plane/push/",
    "control-plane/registry/",
    "control-plane/telemetry/",
  ],
  "control-plane/api/": [
    "runtime/",
    "rules/",
    "proto/",
    "control-plane/limits",
    "control-plane/metrics",
    "control-plane/store/",
    "control-plane/registry/",
    "control-plane/push/",
    "control-plane/discovery/",
    "control-plane/telemetry/",
    "control-plane/rollout/",
    "control-plane/view/",
  ],
  "control-plane/view/": ["runtime/", "rules/", "proto/"],
  "control-plane/cli/": ["runtime/", "rules/", "proto/", "control-plane/view/"],
  "control-plane/": ["runtime/", "rules/", "proto/", "control-plane/"],
};

function roomOf(file: string): string | undefined {
  return Object.keys(ROOMS)
    .filter((room) => file.startsWith(room))
    .sort((a, b) => b.length - a.length)[0];
}

function report(findings: readonly string[]): void {
  expect(findings, findings.join("\n")).toEqual([]);
}

/** Code without comments and strings, so that words in prose are not calls. */
function codeOf(file: string): string {
  return text(file)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|[^:])\/\/.*$/gm, "$1")
    .replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
}

function linesMatching(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    codeOf(file)
      .split("\n")
      .filter((line) => pattern.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
}

describe("the rooms of the house", () => {
  it("every program file stands in a room of the table", () => {
    report(programs.filter((file) => file.includes("/") && roomOf(file) === undefined));
  });

  it("imports point only where the table allows", () => {
    const findings: string[] = [];
    for (const file of programs) {
      const room = roomOf(file);
      if (room === undefined) continue;
      for (const target of importsOf(file)) {
        const targetRoom = roomOf(target) ?? target;
        const allowed = targetRoom === room || (ROOMS[room] ?? []).some((prefix) => target.startsWith(prefix));
        if (!allowed) findings.push(`${file} must not import ${target} (room ${room})`);
      }
    }
    report(findings);
  });

  it("sidecar and control plane never import each other", () => {
    const crossing = (from: string, to: string) =>
      programs
        .filter((file) => file.startsWith(from))
        .flatMap((file) =>
          importsOf(file)
            .filter((target) => target.startsWith(to))
            .map((target) => `${file} -> ${target}`),
        );
    report([...crossing("sidecar/", "control-plane/"), ...crossing("control-plane/", "sidecar/")]);
  });

  it("has no import cycle, type-only imports included", () => {
    const state = new Map<string, "open" | "done">();
    const findings: string[] = [];
    const visit = (file: string, trail: readonly string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        findings.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
        return;
      }
      state.set(file, "open");
      for (const target of importsOf(file)) if (texts.has(target)) visit(target, [...trail, file]);
      state.set(file, "done");
    };
    for (const file of programs) visit(file, []);
    report(findings);
  });
});

describe("what is banned where", () => {
  it("reads clocks, sets timers and draws random numbers only in runtime/", () => {
    const files = programs.filter((file) => !file.startsWith("runtime/"));
    report(
      linesMatching(
        files,
        /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval|AbortSignal\.timeout)\b|new Date\(\)/,
      ),
    );
  });

  it("touches process only where a program begins", () => {
    const files = programs.filter(
      (file) => !/(^|\/)(main|bootstrap)\.ts$|^(sidecar|control-plane)\/program\.ts$/.test(file),
    );
    report(linesMatching(files, /(?<![.\w])process\.|from "node:process"/));
  });

  it("loads no large module of Node with the sidecar: runtime/lazy-modules.ts does when it is needed", () => {
    const files = programs.filter((file) => /^(sidecar|rules|runtime)\//.test(file));
    report(linesMatching(files, /^(?!import type\b).*\bfrom "node:(https?|http2|tls|inspector(\/promises)?)"/));
  });

  it("uses erasable, explicit TypeScript: no any, no default export, no barrel", () => {
    report([
      ...linesMatching(programs, /:\s*any\b|\bas any\b|<any>|@ts-ignore|@ts-nocheck|@ts-expect-error/),
      ...linesMatching(programs, /^\s*export\s+(default\b|\*)/),
    ]);
  });

  it("leaves nothing for later and nothing switched off", () => {
    const findings = sources
      .filter((file) => file !== "test/tidy.test.ts")
      .flatMap((file) =>
        text(file)
          .split("\n")
          .filter((line) => /\b(TODO|FIXME|XXX|HACK)\b|\b(it|test|describe)\.(only|todo)\b/.test(line))
          .map((line) => `${file}: ${line.trim()}`),
      );
    report(findings);
  });

  it("speaks of itself alone", () => {
    const words = new RegExp(["/wo", "rk/|/tmp/", "wt/|\\.lib", "rary|registry\\.npm", "js"].join(""));
    const findings = tracked
      .filter((file) => /\.(ts|md|json|ya?ml|proto)$/.test(file) && file !== "test/tidy.test.ts")
      .flatMap((file) =>
        readFileSync(path.join(ROOT, file), "utf8")
          .split("\n")
          .filter((line) => words.test(line))
          .map((line) => `${file}: ${line.trim().slice(0, 120)}`),
      );
    report(findings);
  });
});

describe("files", () => {
  it("begin with a comment that says what they are", () => {
    report(sources.filter((file) => !/^(#!.*\n)?\/[/*]/.test(text(file))));
  });

  it(`have at most ${LINES_MAX} lines`, () => {
    const long = sources.filter((file) => !isTest(file) && text(file).split("\n").length - 1 > LINES_MAX);
    report(long.map((file) => `${file}: ${text(file).split("\n").length - 1} lines`));
  });

  it("are not named utils, helpers, manager, common or info", () => {
    report(sources.filter((file) => /(^|[/.-])(utils?|helpers?|manager|common|info)\.ts$/.test(file)));
  });
});

describe("code and documents name the same things", () => {
  const doc = (file: string) => readFileSync(path.join(ROOT, file), "utf8");
  const difference = (a: ReadonlySet<string>, b: ReadonlySet<string>) => [...a].filter((word) => !b.has(word)).sort();

  it("every reason in code is in docs/reasons.md, with its status, side and retry, and the reverse", () => {
    const rows = (matches: Iterable<RegExpExecArray>) => new Set([...matches].map(([, ...row]) => row.join(" ")));
    const table = text("sidecar/proxy/reasons.ts");
    const row = /^ {2}"?([a-z0-9-]+)"?: \{\s+status: (\d+),\s+side: "([a-z]+)",\s+retry: "([a-z-]+)",/gm;
    const coded = rows(table.matchAll(row));
    const documented = rows(
      doc("docs/reasons.md").matchAll(/^\| `([a-z0-9-]+)` \| (\d+) \| ([a-z]+) \| ([a-z-]+) \|/gm),
    );
    expect(coded.size).toBe([...table.matchAll(/^\s+"?([a-z0-9-]+)"?: \{/gm)].length);
    expect(coded.size).toBeGreaterThan(10);
    report([
      ...difference(coded, documented).map((r) => `undocumented: ${r}`),
      ...difference(documented, coded).map((r) => `not in code: ${r}`),
    ]);
  });

  it("every rule of HTTP/2 in code is in docs/http2.md, with its section, and the reverse", () => {
    const coded = [
      ...text("sidecar/http2/refusal.ts").matchAll(/^ {2}"([a-z0-9-]+)": \[\s*"\w+",\s*[\w.]+,\s*"RFC ([^"]+)"/gm),
    ];
    const documented = [...doc("docs/http2.md").matchAll(/`([a-z0-9-]+)` \((\d{4} [\d.]+)\)/g)];
    const pairs = (matches: readonly RegExpExecArray[]) => new Set(matches.map((match) => `${match[1]} ${match[2]}`));
    expect(coded.length).toBeGreaterThan(50);
    report([
      ...difference(pairs(coded), pairs(documented)).map((rule) => `undocumented: ${rule}`),
      ...difference(pairs(documented), pairs(coded)).map((rule) => `not in code: ${rule}`),
    ]);
  });

  it("every metric in code is in docs/metrics.md, and the reverse", () => {
    const names = /["'`](weft_[a-z0-9_]+)/g;
    const coded = new Set(programs.flatMap((file) => [...text(file).matchAll(names)].map((match) => match[1] ?? "")));
    const documented = new Set(
      [...doc("docs/metrics.md").matchAll(/^\| `(weft_[a-z0-9_]+)`/gm)].map((match) => match[1] ?? ""),
    );
    expect(coded.size).toBeGreaterThan(10);
    report([
      ...difference(coded, documented).map((m) => `undocumented: ${m}`),
      ...difference(documented, coded).map((m) => `not in code: ${m}`),
    ]);
  });

  it("every relative link in a document leads to a file", () => {
    const findings: string[] = [];
    for (const file of tracked.filter((name) => name.endsWith(".md"))) {
      for (const [, target = ""] of doc(file).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), target));
        const known = tracked.some((name) => name === resolved || name.startsWith(`${resolved.replace(/\/$/, "")}/`));
        if (!known) findings.push(`${file} -> ${target}`);
      }
    }
    report(findings);
  });
});

describe("generated code", () => {
  it("is what proto/ gives now", () => {
    const out = mkdtempSync(path.join(tmpdir(), "weft-proto-"));
    try {
      const bin = path.join(ROOT, "node_modules/.bin");
      execFileSync(path.join(bin, "buf"), ["generate", "-o", out], {
        cwd: path.join(ROOT, "proto"),
        env: { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}` },
      });
      const fresh = readdirSync(path.join(out, "gen/weft/v1")).sort();
      const committed = readdirSync(path.join(ROOT, "proto/gen/weft/v1")).sort();
      expect(committed).toEqual(fresh);
      for (const file of fresh) {
        const wanted = readFileSync(path.join(out, "gen/weft/v1", file), "utf8");
        expect(
          readFileSync(path.join(ROOT, "proto/gen/weft/v1", file), "utf8") === wanted,
          `${file}: run npm run proto`,
        ).toBe(true);
      }
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });
});
