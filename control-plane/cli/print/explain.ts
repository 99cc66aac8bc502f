// The answer of `weft explain` as a tree: from the request to what answers it, then why nothing else did.
import type { BackendView, CandidateView, ExplainView, PolicyView } from "../../view/explain.ts";
import { fieldLines } from "./fields.ts";
import { type Paint, printable } from "./text.ts";
import { type TreeNode, treeLines } from "./tree.ts";

/** Addresses named per backend; the rest is counted. */
const ADDRESSES_SHOWN_MAX = 5;

export function explainLines(view: ExplainView, paint: Paint): string[] {
  const from = view.from === "" ? "" : ` from ${view.from}`;
  const root = paint("bold", printable(`${view.method} ${view.url}${from}`));
  return treeLines({
    label: root,
    children: [
      serviceNode(view),
      ...answerNodes(view, paint),
      ...routeNodes(view, paint),
      ...splitNodes(view, paint),
      ...listNodes("filters", view.filters),
      ...upstreamNodes(view),
      ...policyNodes(view.policies),
      ...candidateNodes(view, paint),
      ...listNodes("notes", view.notes),
    ],
  });
}

function serviceNode(view: ExplainView): TreeNode {
  if (view.service === "") return { label: "service: none" };
  const port = view.port > 0 ? ` port ${view.port}` : "";
  return { label: printable(`service: ${view.service}${port} (revision ${view.revision})`) };
}

function answerNodes(view: ExplainView, paint: Paint): TreeNode[] {
  if (view.answer === undefined) return [];
  const { status, reason } = view.answer;
  return [{ label: `answer: ${paint("red", `${status} ${printable(reason)}`)}, made by the mesh itself` }];
}

function routeNodes(view: ExplainView, paint: Paint): TreeNode[] {
  if (view.route === undefined) {
    return view.service === ""
      ? []
      : [{ label: "route: none acts; the service is balanced over its endpoints" }].filter(
          () => view.answer === undefined,
        );
  }
  const { name, ruleIndex, ruleName } = view.route;
  const matched = view.candidates.find((candidate) => candidate.outcome === "matched");
  const children = matched === undefined ? [] : [{ label: printable(`match ${matched.matchIndex}: ${matched.match}`) }];
  return [{ label: `route: ${paint("green", printable(ruleTitle(name, ruleIndex, ruleName)))}`, children }];
}

function ruleTitle(route: string, ruleIndex: number, ruleName: string): string {
  return `${route} rule ${ruleIndex}${ruleName === "" ? "" : ` "${ruleName}"`}`;
}

function splitNodes(view: ExplainView, paint: Paint): TreeNode[] {
  if (view.backends.length === 0) return [];
  return [{ label: "split", children: view.backends.map((backend) => backendNode(backend, paint)) }];
}

function backendNode(backend: BackendView, paint: Paint): TreeNode {
  const port = backend.port > 0 ? `:${backend.port}` : "";
  const share = `${formatShare(backend.share)} %`.padStart(7);
  const title = printable(`${backend.service}${port} (weight ${backend.weight})`);
  const health = `${backend.readyEndpoints}/${backend.endpoints} endpoints ready`;
  const state = backend.reason === "" ? health : paint("red", `answered with ${printable(backend.reason)}`);
  return {
    label: `${share}  ${title}  ${backend.readyEndpoints === 0 ? paint("red", state) : state}`,
    children: [...addressNodes(backend.addresses), ...backend.filters.map((filter) => ({ label: printable(filter) }))],
  };
}

function addressNodes(addresses: readonly string[]): TreeNode[] {
  if (addresses.length === 0) return [];
  const shown = addresses.slice(0, ADDRESSES_SHOWN_MAX).join(", ");
  const hidden = addresses.length - ADDRESSES_SHOWN_MAX;
  return [{ label: printable(hidden > 0 ? `${shown} and ${hidden} more` : shown) }];
}

/** At most two decimals, and only where they say something. */
function formatShare(share: number): string {
  return String(Math.round(share * 100) / 100);
}

function upstreamNodes(view: ExplainView): TreeNode[] {
  const { host, path } = view.upstream;
  if (host === "" && path === "") return [];
  // What follows a CONNECT has no path (RFC 9110 section 9.3.6).
  if (view.method === "CONNECT") return [{ label: printable(`upstream: CONNECT ${host}`) }];
  return [{ label: printable(`upstream: ${view.method} ${path}${host === "" ? "" : `, host ${host}`}`) }];
}

function policyNodes(policies: readonly PolicyView[]): TreeNode[] {
  if (policies.length === 0) return [];
  const lines = fieldLines(policies.map(({ field, value, origin }) => [field, `${value}  (${origin})`]));
  return [{ label: "policies", children: lines.map((label) => ({ label })) }];
}

/** The rules that do not have the request, each with its reason. */
function candidateNodes(view: ExplainView, paint: Paint): TreeNode[] {
  const others = view.candidates.filter((candidate) => candidate.outcome !== "matched");
  if (others.length === 0) return [];
  return [{ label: "why not the others", children: others.map((candidate) => candidateNode(candidate, paint)) }];
}

function candidateNode(candidate: CandidateView, paint: Paint): TreeNode {
  const { route, ruleIndex, ruleName, matchIndex, match, outcome, reason } = candidate;
  const title = printable(`${ruleTitle(route, ruleIndex, ruleName)} match ${matchIndex}: ${match}`);
  const isShadowed = outcome === "shadowed";
  const why = reason === "" ? outcome : reason;
  return {
    label: title,
    children: [{ label: paint(isShadowed ? "yellow" : "dim", printable(isShadowed ? `shadowed: ${why}` : why)) }],
  };
}

function listNodes(label: string, items: readonly string[]): TreeNode[] {
  return items.length === 0 ? [] : [{ label, children: items.map((item) => ({ label: printable(item) })) }];
}
