// weft rollout: canary releases as they run, and the hands on them. One action per run; what a release looks like is
// print/rollout.ts, following one to its end is rollout-watch.ts.
import type { Client } from "@grpc/grpc-js";
import { type Rollout, type RolloutKey, RolloutsServiceClient } from "../../../proto/gen/weft/v1/rollouts.ts";
import { diagnosticView } from "../../view/diagnostic.ts";
import { rolloutEventView, rolloutView } from "../../view/rollout.ts";
import { author } from "../author.ts";
import type { Invocation } from "../command.ts";
import { type Connection, withConnection } from "../connection.ts";
import { emit, isForPeople, stderrPaint, writeLines } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode, usageFailure } from "../failure.ts";
import { hintForAction, looksLikeFile } from "../hints.ts";
import { didYouMean } from "../kinds.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { ageOf } from "../print/age.ts";
import { writeDiagnostics } from "../print/diagnostics.ts";
import { rolloutColumns, rolloutLines } from "../print/rollout.ts";
import { tableLines } from "../print/table.ts";
import { ROLLOUT_ACTIONS, type RolloutAction } from "../rollout-actions.ts";
import type { RolloutCall } from "../rollout-call.ts";
import { releaseSource } from "../rollout-document.ts";
import { watchRollout } from "../rollout-watch.ts";

const RUNS: Readonly<Record<RolloutAction, (call: RolloutCall) => Promise<ExitCode>>> = {
  start,
  status,
  list,
  history,
  pause: (call) => command(call, (key) => unary(call, call.client.pause, key)),
  abort: (call) => command(call, (key) => unary(call, call.client.abort, key)),
  resume: (call) => command(call, (key) => call.connection.call(call.client, call.client.resume, wordOf(call, key))),
  promote: (call) =>
    command(call, (key) => {
      const { client, connection, invocation } = call;
      const request = { ...wordOf(call, key), full: invocation.flags.has("full") };
      return connection.call(client, client.promote, request);
    }),
};

/** What a flag would not act on is a mistake: `abort --full` is not what it says. */
const ACTIONS_OF_FLAGS: Readonly<Record<string, readonly RolloutAction[]>> = {
  ...{
    filename: ["start"],
    service: ["start"],
    stable: ["start"],
    canary: ["start"],
    steps: ["start"],
    hold: ["start"],
  },
  ...{
    watch: ["status"],
    wait: ["start", "status"],
    full: ["promote"],
    step: ["promote", "resume"],
    limit: ["history"],
    allNamespaces: ["list"],
  },
};

function dashed(flag: string): string {
  return flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export async function rollout(invocation: Invocation): Promise<ExitCode> {
  const [word = ""] = invocation.args;
  const action = ROLLOUT_ACTIONS.find((known) => known === word);
  if (action === undefined) {
    const hint = hintForAction(invocation.args, ROLLOUT_ACTIONS);
    const near = hint.length === 0 ? didYouMean(word, ROLLOUT_ACTIONS) : "";
    throw usageFailure(`unknown action '${word}'${near}`, ...hint, "see: weft rollout --help");
  }
  refuseOtherNames(action, invocation.args[1] ?? "");
  for (const [flag, actions] of Object.entries(ACTIONS_OF_FLAGS))
    if (invocation.flags.has(flag) && !actions.includes(action))
      throw usageFailure(`--${dashed(flag)} does nothing for ${action}; it goes with: ${actions.join(", ")}`);
  invocation.flags.durationMs("wait", 0);
  return withConnection(invocation, (connection) => {
    const client = connection.adopt(connection.create(RolloutsServiceClient));
    return RUNS[action]({ invocation, connection, client }).catch((error: unknown) => {
      throw advised(error, invocation);
    });
  });
}

/** Files stand behind a flag, and kinds are not said: it is a Rollout. */
function refuseOtherNames(action: RolloutAction, name: string): void {
  if (action === "start" && looksLikeFile(name))
    throw usageFailure(`"${name}" is no name`, `did you mean: weft rollout start -f ${name}`);
  if (!name.includes("/")) return;
  const own = name.slice(name.lastIndexOf("/") + 1);
  throw usageFailure(`"${name}" is no name`, `did you mean: weft rollout ${action} ${own}`);
}

/** What was refused, and what is not there, with the command that tells more. */
function advised(error: unknown, { args, namespace }: Invocation): unknown {
  if (!(error instanceof CliFailure) || error.next.length > 0) return error;
  const [, name = ""] = args;
  const where = namespace === undefined ? "" : ` -n ${namespace}`;
  if (error.code === "not-found")
    return new CliFailure(error.code, error.message, { next: ["see what there is: weft rollout list -A"] });
  if (error.code !== "failed") return error;
  const next = [`see what can be done: weft rollout status${name === "" ? "" : ` ${name}`}${where}`];
  return new CliFailure(error.code, error.message, { next });
}

async function start(call: RolloutCall): Promise<ExitCode> {
  const { invocation, connection, client } = call;
  const source = await releaseSource(call);
  const response = await connection.call(client, client.start, {
    key: source === undefined ? await wantedKey(call) : undefined,
    document: source?.content ?? Buffer.alloc(0),
    file: source?.name ?? "",
    namespace: namespaceOf(invocation),
    author: author(invocation.shell),
  });
  const diagnostics = response.diagnostics.map(diagnosticView);
  if (response.rollout === undefined)
    throw new CliFailure("invalid-rules", "nothing was started: the document has errors", { diagnostics });
  writeDiagnostics(diagnostics, invocation.shell.stderr, stderrPaint(invocation.shell));
  const view = rolloutView(response.rollout);
  if (!invocation.flags.has("wait")) return show(call, response.rollout);
  if (isForPeople(invocation))
    writeLines(
      invocation.shell.stdout,
      rolloutLines(view, (_style, text) => text),
    );
  return watchRollout(call, { namespace: view.namespace, name: view.name });
}

async function status(call: RolloutCall): Promise<ExitCode> {
  const { invocation, connection, client } = call;
  const key = await wantedKey(call);
  const { rollout: found } = await connection.call(client, client.getRollout, { key });
  return invocation.flags.has("watch") ? watchRollout(call, key) : show(call, found);
}

async function list({ invocation, connection, client }: RolloutCall): Promise<ExitCode> {
  const namespace = invocation.flags.has("allNamespaces") ? "" : namespaceOf(invocation);
  const { rollouts } = await connection.call(client, client.listRollouts, { namespace });
  const views = rollouts.map(rolloutView);
  await emit(invocation, { rollouts: views }, (paint) =>
    views.length === 0 ? ["No rollouts."] : tableLines(rolloutColumns(invocation), views, paint),
  );
  return EXIT.done;
}

async function history({ invocation, connection, client }: RolloutCall): Promise<ExitCode> {
  const [, name = ""] = invocation.args;
  const limit = invocation.flags.count("limit", 1) ?? 50;
  const key = { namespace: namespaceOf(invocation), name };
  const { events } = await connection.call(client, client.rolloutHistory, { key, limit });
  const views = events.map(rolloutEventView);
  const now = invocation.shell.clock.wall();
  await emit(invocation, { events: views }, (paint) =>
    views.length === 0
      ? ["Nothing has happened."]
      : tableLines(
          [
            { header: "AGE", cell: ({ atMs }) => ageOf(atMs, now) },
            { header: "ROLLOUT", cell: (event) => event.rollout },
            { header: "EVENT", cell: ({ type }) => type },
            { header: "BY", cell: ({ author: who }) => who || "weft" },
            { header: "MESSAGE", cell: ({ message }) => message },
          ],
          views,
          paint,
        ),
  );
  return EXIT.done;
}

async function command(
  call: RolloutCall,
  run: (key: RolloutKey) => Promise<{ readonly rollout?: Rollout | undefined }>,
): Promise<ExitCode> {
  const { rollout: changed } = await run(await wantedKey(call));
  return show(call, changed);
}

/** That a release shall go on, from the step that was named. */
function wordOf({ invocation }: RolloutCall, key: RolloutKey): { key: RolloutKey; author: string; step: number } {
  return { key, author: author(invocation.shell), step: invocation.flags.count("step", 1) ?? 0 };
}

type Commanded = Parameters<Connection["call"]>[1];

function unary(
  { client, connection, invocation }: RolloutCall,
  method: RolloutsServiceClient["pause"],
  key: RolloutKey,
): Promise<{ readonly rollout?: Rollout | undefined }> {
  const request = { key, author: author(invocation.shell) };
  return connection.call(client as Client, method as Commanded, request) as Promise<{ rollout?: Rollout }>;
}

async function show({ invocation }: RolloutCall, found: Rollout | undefined): Promise<ExitCode> {
  if (found === undefined) throw new CliFailure("failed", "the control plane gave no rollout");
  const view = rolloutView(found);
  await emit(invocation, view, (paint) => rolloutLines(view, paint));
  return EXIT.done;
}

/** The release that is named, or the only one there is. */
async function wantedKey({ invocation, connection, client }: RolloutCall): Promise<RolloutKey> {
  const [, name] = invocation.args;
  const namespace = namespaceOf(invocation);
  if (name !== undefined) return { namespace, name };
  const { rollouts } = await connection.call(client, client.listRollouts, { namespace });
  const [only, ...others] = rollouts;
  if (only?.key === undefined) throw new CliFailure("not-found", `there is no Rollout in namespace ${namespace}`);
  if (others.length > 0) {
    const names = rollouts.map(({ key }) => key?.name ?? "").join(", ");
    throw usageFailure(`which rollout? there are ${rollouts.length}: ${names}`);
  }
  return only.key;
}

export function namespaceOf(invocation: Invocation): string {
  return invocation.namespace ?? NAMESPACE_DEFAULT;
}
