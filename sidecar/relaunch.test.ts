// The one relaunch at the start, and what of it the app does not see.
import { expect, test } from "vitest";
import { type Environment, relaunch, withoutOwn } from "./relaunch.ts";

interface Launched {
  readonly args: string[];
  readonly env: Record<string, string>;
}

function launch(
  env: Environment,
  floor: { execArgv?: string[]; hasChannel?: boolean; cores?: number } = {},
): Launched | undefined {
  let launched: Launched | undefined;
  relaunch({
    execPath: "/bin/node",
    execArgv: floor.execArgv ?? [],
    argv: ["/bin/node", "/weft/sidecar/main.js", "--service", "web"],
    env,
    cores: floor.cores ?? 8,
    hasChannel: floor.hasChannel ?? false,
    execve: (_file, args, given) => {
      launched = { args, env: given };
    },
  });
  return launched;
}

test("the program replaces itself by itself, with its arguments behind V8's", () => {
  const { args, env } = launch({ PATH: "/bin" }, { execArgv: ["--enable-source-maps"] }) ?? { args: [], env: {} };
  expect(args).toEqual([
    "/bin/node",
    "--max-semi-space-size=4",
    "--enable-source-maps",
    "/weft/sidecar/main.js",
    "--service",
    "web",
  ]);
  expect(env).toEqual({
    PATH: "/bin",
    MALLOC_MMAP_THRESHOLD_: "16384",
    WEFT_RELAUNCHED_WITH: "MALLOC_MMAP_THRESHOLD_",
  });
});

test.each([
  [1, ["--v8-pool-size=1"]],
  [2, ["--v8-pool-size=1"]],
  [3, ["--v8-pool-size=2"]],
  [4, ["--v8-pool-size=3"]],
  [5, []],
])("on %d cores V8 has no more threads than cores beside the one that serves", (cores, expected) => {
  expect(launch({}, { cores })?.args.filter((arg) => arg.startsWith("--v8"))).toEqual(expected);
  expect(launch({ NODE_OPTIONS: "--v8-pool-size=4" }, { cores })?.args.join(" ")).not.toContain("--v8-pool-size");
  expect(
    launch({}, { cores, execArgv: ["--v8-pool-size=4"] })?.args.filter((arg) => arg.startsWith("--v8")),
  ).toHaveLength(1);
});

test("what it finds done it does not do again", () => {
  expect(launch({}, { execArgv: ["--max-semi-space-size=4"] })).toBeUndefined();
  expect(launch({ NODE_OPTIONS: "--max-semi-space-size=16" })).toBeUndefined();
  expect(launch({}, { hasChannel: true })).toBeUndefined();
});

test.each([
  { MALLOC_ARENA_MAX: "2" },
  { MALLOC_MMAP_THRESHOLD_: "1000000" },
  { GLIBC_TUNABLES: "glibc.malloc.arena_max=1" },
  { LD_PRELOAD: "/usr/lib/libjemalloc.so.2" },
])("whoever has settled something about malloc (%o) keeps it as it is", (env: Environment) => {
  const given = launch(env)?.env ?? {};
  expect(withoutOwn(given)).toEqual(env);
  expect(given["MALLOC_MMAP_THRESHOLD_"]).toBe(env["MALLOC_MMAP_THRESHOLD_"]);
});

test("without what it added the environment is what it was", () => {
  const before = { PATH: "/bin", HOME: "/", WEFT_SERVICE: "web" };
  expect(withoutOwn(launch(before)?.env ?? {})).toEqual(before);
  expect(withoutOwn(before)).toEqual(before);
});
