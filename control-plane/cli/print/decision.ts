// What became of a request, as a tree (explain --trace) and as one line (tap).
import type { ActView, AttemptView, DecisionView } from "../../view/decision.ts";
import { type Paint, printable, type Style } from "./text.ts";
import { type TreeNode, treeLines } from "./tree.ts";

/** One sidecar's part in a request. */
export function decisionLines(view: DecisionView, paint: Paint): string[] {
  const { sidecar, sidecarService, direction } = view;
  const where = direction === "outbound" ? `called by ${sidecarService}` : `received by ${sidecarService}`;
  return treeLines({
    label: paint("bold", printable(`${requestText(view)}, ${where} (${sidecar})`)),
    children: [
      { label: printable(`at ${view.time}, revision ${view.revision}, from ${view.remoteAddress || "unknown"}`) },
      ...idNodes(view),
      answerNode(view, paint),
      ...ruleNodes(view),
      ...splitNodes(view, paint),
      ...timeoutNodes(view),
      ...attemptNodes(view, paint),
      ...skippedNodes(view),
      ...actNodes(view.acts),
    ],
  });
}

/** `GET orders/api`. A target that names the authority itself, as that of CONNECT does, stands alone. */
function requestText({ method, authority, target }: DecisionView): string {
  return `${method} ${target.startsWith("/") || target === "*" ? authority : ""}${target}`;
}

function idNodes({ traceId, requestId }: DecisionView): TreeNode[] {
  const ids = [
    ...(traceId === undefined ? [] : [`trace ${traceId}`]),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  return ids.length === 0 ? [] : [{ label: printable(ids.join(", ")) }];
}

function answerNode(view: DecisionView, paint: Paint): TreeNode {
  const { reason, detail, durationMs, answeredMs, requestBytes, responseBytes } = view;
  const by = reason === undefined ? "" : `, made by the mesh: ${reason}${detail === undefined ? "" : ` (${detail})`}`;
  const head = answeredMs === undefined ? "" : `, its head after ${time(answeredMs)}`;
  const bytes = `${requestBytes} bytes in, ${responseBytes} out`;
  const words = printable(`${by}; ${time(durationMs)}${head}; ${bytes}`);
  return { label: `answer: ${paint(statusStyle(view), printable(statusText(view)))}${words}` };
}

function ruleNodes({ service, rule }: DecisionView): TreeNode[] {
  if (service === undefined) return [];
  if (rule === undefined) return [{ label: printable(`service ${service}; no rule acted`) }];
  const name = rule.ruleName === "" ? "" : ` "${rule.ruleName}"`;
  const label = printable(`service ${service}; ${rule.route} rule ${rule.ruleIndex}${name}`);
  return [{ label, children: [{ label: printable(`match ${rule.matchIndex}: ${rule.match}`) }] }];
}

function splitNodes({ split, backend }: DecisionView, paint: Paint): TreeNode[] {
  if (split === undefined || split.shares.length < 2) return [];
  const total = split.shares.reduce((sum, { weight }) => sum + weight, 0);
  const bucket = split.bucket === undefined ? "" : `, bucket ${split.bucket} of the user`;
  const children = split.shares.map(({ service, weight }) => {
    const label = printable(`${service} weight ${weight} of ${total}`);
    return { label: service === backend ? `${paint("green", label)} <- chosen` : label };
  });
  return [{ label: `split: fell at ${(split.point * 100).toFixed(2)} %${bucket}`, children }];
}

function timeoutNodes({ requestTimeoutMs, perTryTimeoutMs }: DecisionView): TreeNode[] {
  const parts = [
    ...(requestTimeoutMs === undefined ? [] : [`${time(requestTimeoutMs)} for the request`]),
    ...(perTryTimeoutMs === undefined ? [] : [`${time(perTryTimeoutMs)} for each try`]),
  ];
  return parts.length === 0 ? [] : [{ label: `timeouts: ${parts.join(", ")}` }];
}

function attemptNodes({ attempts, attemptCount }: DecisionView, paint: Paint): TreeNode[] {
  if (attemptCount === 0) return [{ label: "attempts: none" }];
  const missing = attemptCount - attempts.length;
  const note = missing > 0 ? `; ${missing} before the last are not kept` : "";
  return [
    { label: `attempts: ${attemptCount}${note}`, children: attempts.map((attempt) => attemptNode(attempt, paint)) },
  ];
}

function attemptNode(attempt: AttemptView, paint: Paint): TreeNode {
  const { kind, address, backend, version, startMs, durationMs, connectMs, outcome, detail, reused } = attempt;
  const { status, grpcStatus = "OK" } = attempt;
  const isGood = outcome === "answered" && (status ?? 0) < 500 && grpcStatus === "OK";
  const came = status === undefined ? outcome || "under way" : `${statusText({ ...attempt, status })} ${outcome}`;
  const of = version === undefined ? backend : `${backend} ${version}`;
  const connection =
    connectMs === undefined ? (reused ? ", reused connection" : "") : `, connected in ${time(connectMs)}`;
  const words = printable(
    `begun at ${time(startMs)}, took ${time(durationMs)}${connection}${detail === undefined ? "" : `: ${detail}`}`,
  );
  return {
    label: `${kind} ${printable(`${address} (${of})`)}: ${paint(isGood ? "green" : "red", printable(came))}, ${words}`,
  };
}

function skippedNodes({ skipped }: DecisionView): TreeNode[] {
  if (skipped.length === 0) return [];
  return [
    {
      label: "endpoints passed over",
      children: skipped.map(({ address, why }) => ({ label: printable(`${address}: ${why}`) })),
    },
  ];
}

function actNodes(acts: readonly ActView[]): TreeNode[] {
  if (acts.length === 0) return [];
  return [{ label: "policies that acted", children: acts.map((act) => ({ label: printable(actText(act)) })) }];
}

/** A value of 0 is left out on the wire. */
function actText({ name, subject, value = 0 }: ActView): string {
  const said = ACT_VALUES.get(name)?.(value) ?? (value === 0 ? "" : String(value));
  return [name, subject ?? "", said].filter((word) => word !== "").join(" ");
}

const refusedOrNot = (value: number): string => (value === 1 ? "refused" : "only reported");

/** What the number of an act says; those of other acts have none. */
const ACT_VALUES: ReadonlyMap<string, (value: number) => string> = new Map(
  Object.entries({
    "rate-limit": refusedOrNot,
    "concurrency-limit": refusedOrNot,
    "concurrency-queue": (waitedMs) => time(waitedMs),
    shedding: (priority) => `priority ${priority}`,
    "fault-delay": (delayMs) => time(delayMs),
    "fault-abort": (status) => `status ${status}`,
    deadline: (leftMs) => time(leftMs),
    hedge: (afterMs) => `after ${time(afterMs)}`,
  } satisfies Record<string, (value: number) => string>),
);

const TIME_OF_DAY = 11;

/**
 * `15:04:05.123  200    12.3ms  default/web -> orders-v1@10.0.0.1:80  GET orders/api  HTTPRoute default/orders 1  ...`.
 * @param isWide with the id that `weft explain --trace` takes, at the end
 */
export function decisionLine(view: DecisionView, paint: Paint, isWide: boolean): string {
  const { time: at, durationMs, direction, sidecarService, remoteAddress, rule } = view;
  const caller = direction === "outbound" ? sidecarService : remoteAddress;
  const parts = [
    at.slice(TIME_OF_DAY, -1),
    paint(statusStyle(view), printable(statusText(view))),
    time(durationMs).padStart(9),
    printable(`${caller} -> ${destinationText(view)}`),
    printable(requestText(view)),
    ...(rule === undefined ? [] : [paint("dim", printable(`${rule.route} ${rule.ruleIndex}`))]),
    ...(view.reason === undefined ? [] : [paint("red", printable(view.reason))]),
    ...(view.attemptCount > 1 ? [paint("yellow", printable(triesText(view)))] : []),
    ...view.acts
      .filter(({ name }) => name !== "mirror" && name !== "resolve")
      .map((act) => paint("yellow", printable(actText(act)))),
    ...(isWide ? [paint("dim", printable(view.traceId ?? view.requestId ?? "-"))] : []),
  ];
  return parts.join("  ");
}

function destinationText({ direction, sidecarService, service, backend, version, attempts }: DecisionView): string {
  const address = attempts.at(-1)?.address;
  const name = direction === "inbound" ? sidecarService : (backend ?? service ?? "nowhere");
  return `${name}${version === undefined ? "" : ` ${version}`}${address === undefined ? "" : `@${address}`}`;
}

function triesText({ attempts, attemptCount }: DecisionView): string {
  const failures = attempts
    .slice(0, -1)
    .map(({ outcome, status = 0, grpcStatus = "" }) =>
      outcome === "retried" ? statusText({ status, grpcStatus }) : outcome,
    );
  return `${attemptCount} tries (${failures.join(", ")})`;
}

/** Calls of gRPC that failed have a status of 200 mostly: their code says more. */
function statusText({ status, grpcStatus = "" }: { readonly status: number; readonly grpcStatus?: string }): string {
  return grpcStatus === "" ? String(status) : `${status} ${grpcStatus}`;
}

function statusStyle({ status, reason, grpcStatus = "OK" }: DecisionView): Style {
  if (status >= 500 || grpcStatus !== "OK") return "red";
  return status >= 400 || reason !== undefined ? "yellow" : "green";
}

function time(milliseconds: number): string {
  return milliseconds >= 1_000 ? `${(milliseconds / 1_000).toFixed(2)}s` : `${milliseconds.toFixed(1)}ms`;
}
