// A release as text: a tree for a person, one line for a log, a row for a list.
import { formatDuration } from "../../../rules/durations.ts";
import { hasEnded, type RolloutView, type SideView } from "../../view/rollout.ts";
import type { Invocation } from "../command.ts";
import { ageOf } from "./age.ts";
import { type Column, tableLines } from "./table.ts";
import { counted, type Paint, printable, type Style } from "./text.ts";
import { type TreeNode, treeLines } from "./tree.ts";

const BAR_CHARACTERS = 20;

const PHASE_STYLE: Readonly<Record<string, Style>> = {
  progressing: "cyan",
  paused: "yellow",
  promoted: "green",
  "rolled-back": "red",
};

const VERDICT_STYLE: Readonly<Record<string, Style>> = { better: "green", worse: "red", "not-yet": "yellow" };
const STEP_MARK = { done: "✔", now: "▶", stopped: "✖", ahead: "·" } as const;

/** Everything about a release, what to type next at the end. */
export function rolloutLines(view: RolloutView, paint: Paint): string[] {
  const { name, service, stable, canary, phase, message } = view;
  const root: TreeNode = {
    label: `${paint("bold", printable(name))}: ${printable(`${service}, ${stable} -> ${canary}`)}  ${paint(PHASE_STYLE[phase] ?? "dim", phase)}`,
    children: [
      { label: printable(message) },
      { label: weightText(view, paint) },
      { label: "steps", children: stepNodes(view, paint) },
      {
        label: `${hasEnded(view) ? "last analysis" : "analysis"}: ${paint(VERDICT_STYLE[view.verdict] ?? "dim", view.verdict)}: ${printable(view.verdictReason)}`,
        children: checkNodes(view, paint),
      },
      ...waitNodes(view),
      ...silentNodes(view, paint),
    ],
  };
  const figures = tableLines(SIDE_COLUMNS, view.sides, paint).map((line) => `  ${line}`);
  const next = view.next.map(({ command, does }) => `  ${printable(command)}   ${paint("dim", `# ${does}`)}`);
  return [...treeLines(root), "", ...figures, "", "next:", ...next];
}

function weightText({ weight, wantedWeight, mirror }: RolloutView, paint: Paint): string {
  const filled = Math.round((weight / 100) * BAR_CHARACTERS);
  const bar = paint("cyan", "█".repeat(filled)) + paint("dim", "░".repeat(BAR_CHARACTERS - filled));
  const wanted = weight === wantedWeight ? "" : ` of ${wantedWeight} %`;
  const copies = mirror === 0 ? "" : `, ${mirror} % mirrored`;
  return `canary ${bar} ${weight} %${wanted}${copies}`;
}

function stepNodes({ steps }: RolloutView, paint: Paint): TreeNode[] {
  return steps.map(({ text, state }, index) => {
    const label = `${STEP_MARK[state]} ${index + 1}. ${printable(text)}`;
    return { label: state === "now" || state === "stopped" ? paint("bold", label) : label };
  });
}

function checkNodes({ checks }: RolloutView, paint: Paint): TreeNode[] {
  return checks.map(({ name, verdict, detail }) => ({
    label: `${paint(VERDICT_STYLE[verdict] ?? "dim", verdict.padEnd(7))} ${printable(`${name}: ${detail}`)}`,
  }));
}

function waitNodes(view: RolloutView): TreeNode[] {
  if (hasEnded(view)) return [];
  const parts = [
    view.holdRemainingMs > 0 ? `at least ${roughly(view.holdRemainingMs)} in this step` : "",
    view.expectedWaitMs > 0
      ? `about ${roughly(view.expectedWaitMs)} until the ${view.minRequests} requests that a verdict needs, at the traffic of now`
      : nobodyText(view),
  ].filter((part) => part !== "");
  return parts.length === 0 ? [] : [{ label: `time left: ${parts.join("; ")}` }];
}

/** Nothing to count on: it may last for ever, and a person should know. */
function nobodyText({ sides, service, minRequests }: RolloutView): string {
  const isQuiet = sides.every(({ requests, requestsPerSecond }) => requests + requestsPerSecond === 0);
  return isQuiet ? `no calls of ${service} are reported yet: no verdict before ${minRequests} requests` : "";
}

function roughly(milliseconds: number): string {
  return formatDuration(Math.max(1_000, Math.ceil(milliseconds / 1_000) * 1_000));
}

function silentNodes({ silentSidecars, reportingSidecars }: RolloutView, paint: Paint): TreeNode[] {
  if (silentSidecars.length === 0) return [];
  const named = silentSidecars.slice(0, 5).join(", ");
  const text = `figures are missing of ${counted(silentSidecars.length, "calling sidecar")} (${named}); ${reportingSidecars} report`;
  return [{ label: paint("yellow", printable(text)) }];
}

const SIDE_COLUMNS: readonly Column<SideView>[] = [
  { header: "VERSION", cell: ({ service }) => service },
  { header: "READY", cell: ({ readyEndpoints }) => String(readyEndpoints) },
  { header: "REQUESTS", cell: ({ requests }) => String(requests) },
  { header: "RPS", cell: ({ requestsPerSecond }) => requestsPerSecond.toFixed(1) },
  { header: "SUCCESS", cell: ({ successRate }) => (successRate === null ? "-" : `${successRate}%`) },
  { header: "P50", cell: (side) => latencyCell(side, side.p50Ms) },
  { header: "P95", cell: (side) => latencyCell(side, side.p95Ms) },
  { header: "P99", cell: (side) => latencyCell(side, side.p99Ms) },
];

function latencyCell({ requests }: SideView, milliseconds: number): string {
  return requests === 0 ? "-" : `${milliseconds.toPrecision(3)}ms`;
}

/** One line that changes only when something happens. */
export function rolloutLine(view: RolloutView): string {
  const { name, phase, step, steps, weight, verdict, lastEvent } = view;
  const hasStopped = hasEnded(view);
  const where = hasStopped ? "" : ` step ${step}/${steps.length}`;
  // What was thought before the end says nothing about the end.
  const judged = hasStopped ? "" : `, ${verdict}`;
  const message = lastEvent?.message ?? view.message;
  return printable(`${name} ${phase}${where}, weight ${weight}%${judged}: ${message}`);
}

export function rolloutColumns(invocation: Invocation): Column<RolloutView>[] {
  const now = invocation.shell.clock.wall();
  return [
    { header: "NAMESPACE", cell: ({ namespace }) => namespace },
    { header: "NAME", cell: ({ name }) => name },
    { header: "SERVICE", cell: ({ service }) => service },
    { header: "STABLE", cell: ({ stable }) => stable },
    { header: "CANARY", cell: ({ canary }) => canary },
    { header: "PHASE", cell: ({ phase }) => phase, style: ({ phase }) => PHASE_STYLE[phase] },
    { header: "STEP", cell: ({ step, steps }) => `${Math.min(step, steps.length)}/${steps.length}` },
    { header: "WEIGHT", cell: ({ weight }) => `${weight}%` },
    // What was thought before the end says nothing about the end.
    {
      header: "VERDICT",
      cell: (view) => (hasEnded(view) ? "-" : view.verdict),
      style: (view) => (hasEnded(view) ? undefined : VERDICT_STYLE[view.verdict]),
    },
    { header: "AGE", cell: ({ startedAt }) => ageOf(Date.parse(startedAt), now) },
  ];
}
