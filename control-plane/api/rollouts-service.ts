// The rollouts service: releases as they run, for people and pipelines, and the hands they have on them.
import { type ServerWritableStream, status } from "@grpc/grpc-js";
import type * as wire from "../../proto/gen/weft/v1/rollouts.ts";
import { type Diagnostic, formatDiagnostic, qualifiedName } from "../../rules/diagnostic.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import { every } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import * as limits from "../limits.ts";
import { CommandRefusedError, type Word } from "../rollout/command.ts";
import { NoSuchRolloutError, type Release, type RolloutController } from "../rollout/controller.ts";
import { describeEvent, describeRelease } from "../rollout/describe.ts";
import type { Surroundings } from "../rollout/facts.ts";
import { hasEnded } from "../rollout/phase.ts";
import type { RolloutStore } from "../store/contract.ts";
import type { Rulebook } from "../store/rulebook.ts";
import { planApply } from "./apply.ts";
import { ApiError, StreamWriter, unary } from "./call.ts";
import { wireDiagnostic } from "./wire.ts";

/** A watcher gets a message this often while nothing happens but time and traffic. */
const WATCH_INTERVAL_MS = 1_000;
const DEFAULT_NAMESPACE = "default";

export interface RolloutsServiceOptions {
  readonly rulebook: Rulebook;
  readonly controller: RolloutController;
  readonly store: RolloutStore;
  readonly surroundings: Surroundings;
  readonly clock: Clock;
  readonly log: Log;
  readonly impliedServices: () => ReadonlySet<string>;
}

export function createRolloutsService(options: RolloutsServiceOptions): wire.RolloutsServiceServer {
  const { controller, surroundings, clock, log, store } = options;
  const describe = (release: Release) => describeRelease(release, surroundings, clock.wall());
  const commanded = async (key: wire.RolloutKey | undefined, word: Word) => ({
    rollout: describe(await told(controller.command(requireKey(key), { ...word, author: bounded(word.author) }))),
  });
  return {
    start: unary(log, (request) => start(options, request, describe)),
    getRollout: unary(log, async ({ key }) => ({ rollout: describe(await told(find(controller, key))) })),
    listRollouts: unary(log, ({ namespace }) => ({
      rollouts: controller
        .releases()
        .filter(({ key }) => namespace === "" || key.startsWith(`${namespace}/`))
        .sort((a, b) => (a.key < b.key ? -1 : 1))
        .map(describe),
    })),
    watchRollout: (call) => watch(options, call, describe),
    pause: unary(log, ({ key, author }) => commanded(key, { command: "pause", author, step: 0 })),
    resume: unary(log, ({ key, author, step }) => commanded(key, { command: "resume", author, step })),
    promote: unary(log, ({ key, author, full, step }) =>
      commanded(key, { command: full ? "promote-full" : "promote", author, step }),
    ),
    abort: unary(log, ({ key, author }) => commanded(key, { command: "abort", author, step: 0 })),
    rolloutHistory: unary(log, async ({ key, limit }) => {
      const wanted = Math.min(limit === 0 ? limits.HISTORY_DEFAULT : limit, limits.HISTORY_MAX);
      const events = await store.events(historyPrefix(key), key?.name === "" ? wanted : limits.HISTORY_MAX);
      const own = key === undefined || key.name === "" ? events : events.filter((event) => event.key === keyText(key));
      return { events: own.slice(0, wanted).map(describeEvent) };
    }),
  };
}

async function find(controller: RolloutController, key: wire.RolloutKey | undefined): Promise<Release> {
  return controller.release(requireKey(key));
}

/** Applies the document if there is one, else starts over what has ended. */
async function start(
  { rulebook, controller, impliedServices }: RolloutsServiceOptions,
  request: wire.StartRequest,
  describe: (release: Release) => wire.Rollout,
): Promise<wire.StartResponse> {
  const author = bounded(request.author);
  if (request.document.length === 0)
    return { rollout: describe(await told(controller.restart(requireKey(request.key), author))), ...findingsOf([]) };
  const applied = await rulebook.exclusively(async () => {
    const plan = await planApply(rulebook, impliedServices(), {
      sources: [{ name: request.file || "-", content: request.document }],
      namespace: request.namespace || DEFAULT_NAMESPACE,
      strict: false,
      prune: "nothing",
    });
    const [change, ...others] = plan.changes;
    if (!plan.isAcceptable) return { problems: plan.diagnostics };
    if (change === undefined || others.length > 0 || change.key.kind !== "Rollout")
      throw new ApiError(status.INVALID_ARGUMENT, "a release begins with one Rollout document and nothing else");
    const message = `release of ${change.key.name}`;
    await rulebook.commit([change], { author, message, cause: "apply" });
    return { problems: plan.diagnostics, key: qualifiedName(change.key.namespace, change.key.name) };
  });
  const findings = findingsOf(applied.problems);
  if (applied.key === undefined) return { rollout: undefined, ...findings };
  await controller.sync();
  const release = controller.release(applied.key);
  // An edit alone leaves a release that has ended where it is.
  const isOver = hasEnded(release.state);
  return { rollout: describe(isOver ? await told(controller.restart(applied.key, author)) : release), ...findings };
}

function findingsOf(found: readonly Diagnostic[]): Pick<wire.StartResponse, "problems" | "diagnostics"> {
  return { problems: found.map((problem) => formatDiagnostic(problem)), diagnostics: found.map(wireDiagnostic) };
}

/** The release at once, after every change and every second, until it has ended. */
function watch(
  { controller, clock }: RolloutsServiceOptions,
  call: ServerWritableStream<wire.WatchRolloutRequest, wire.WatchRolloutResponse>,
  describe: (release: Release) => wire.Rollout,
): void {
  const writer = new StreamWriter<wire.WatchRolloutResponse>(call);
  let ticker: Timer | undefined;
  const show = (): void => {
    try {
      const release = controller.release(requireKey(call.request.key));
      writer.event({ rollout: describe(release) });
      if (hasEnded(release.state)) writer.end();
    } catch (error) {
      writer.fail({ code: codeOf(error), details: error instanceof Error ? error.message : String(error) });
    }
  };
  const unfollow = controller.onChange((key) => {
    if (call.request.key !== undefined && key === keyText(call.request.key)) show();
  });
  writer.onEnd(() => {
    unfollow();
    ticker?.cancel();
  });
  show();
  if (writer.isOpen) ticker = every(clock, WATCH_INTERVAL_MS, show);
}

/** Failures of the controller as what the caller can act on. */
async function told<Result>(asked: Promise<Result>): Promise<Result> {
  try {
    return await asked;
  } catch (error) {
    const code = codeOf(error);
    throw code === status.INTERNAL ? error : new ApiError(code, (error as Error).message);
  }
}

function codeOf(error: unknown): status {
  if (error instanceof NoSuchRolloutError) return status.NOT_FOUND;
  if (error instanceof CommandRefusedError) return status.FAILED_PRECONDITION;
  return error instanceof ApiError ? error.code : status.INTERNAL;
}

function requireKey(key: wire.RolloutKey | undefined): string {
  if (key === undefined || key.name === "") throw new ApiError(status.INVALID_ARGUMENT, "a key needs a name");
  return keyText(key);
}

function keyText({ namespace, name }: wire.RolloutKey): string {
  return qualifiedName(namespace || DEFAULT_NAMESPACE, name);
}

function historyPrefix(key: wire.RolloutKey | undefined): string {
  if (key === undefined || (key.name === "" && key.namespace === "")) return "";
  return key.name === "" ? `${key.namespace}/` : keyText(key);
}

function bounded(author: string): string {
  return author.slice(0, limits.AUTHOR_CHARACTERS_MAX);
}
