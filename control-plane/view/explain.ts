// The answer to "where would this request go, and why": the wire's answer with its empty fields made absent.
import type { ExplainCandidate, ExplainResponse } from "../../proto/gen/weft/v1/fleet.ts";
import { type DiagnosticView, diagnosticView } from "./diagnostic.ts";

export interface CandidateView {
  readonly route: string;
  readonly ruleIndex: number;
  readonly ruleName: string;
  readonly matchIndex: number;
  readonly outcome: string;
  readonly reason: string;
  readonly match: string;
}

export interface BackendView {
  readonly service: string;
  readonly port: number;
  readonly weight: number;
  /** Percent of the rule's requests. */
  readonly share: number;
  /** Empty when usable; otherwise the reason word its share is answered with. */
  readonly reason: string;
  readonly endpoints: number;
  readonly readyEndpoints: number;
  readonly addresses: readonly string[];
  readonly filters: readonly string[];
}

export interface PolicyView {
  readonly field: string;
  readonly value: string;
  readonly origin: string;
}

export interface ExplainView {
  readonly method: string;
  readonly url: string;
  readonly from: string;
  readonly service: string;
  readonly port: number;
  readonly revision: number;
  /** The mesh's own answer; absent when a backend answers. */
  readonly answer?: { readonly status: number; readonly reason: string };
  /** The rule that has the request; absent when no route is attached or none matches. */
  readonly route?: { readonly name: string; readonly ruleIndex: number; readonly ruleName: string };
  readonly candidates: readonly CandidateView[];
  readonly backends: readonly BackendView[];
  readonly filters: readonly string[];
  readonly policies: readonly PolicyView[];
  readonly upstream: { readonly host: string; readonly path: string };
  readonly notes: readonly string[];
  readonly diagnostics: readonly DiagnosticView[];
}

export function explainView(
  request: { method: string; url: string; from: string },
  response: ExplainResponse,
): ExplainView {
  const { reason, status, route, ruleIndex, ruleName } = response;
  return {
    method: request.method,
    url: request.url,
    from: request.from,
    service: response.service,
    port: response.port,
    revision: response.revision,
    ...(reason === "" ? {} : { answer: { status, reason } }),
    ...(route === "" ? {} : { route: { name: route, ruleIndex, ruleName } }),
    candidates: response.candidates.map(candidateView),
    backends: response.backends.map((backend) => ({ ...backend })),
    filters: response.filters,
    policies: response.policies.map(({ field, value, origin }) => ({ field, value, origin })),
    upstream: { host: response.upstreamHost, path: response.upstreamPath },
    notes: response.notes,
    diagnostics: response.diagnostics.map(diagnosticView),
  };
}

function candidateView(candidate: ExplainCandidate): CandidateView {
  const { route, ruleIndex, ruleName, matchIndex, outcome, reason, match } = candidate;
  return { route, ruleIndex, ruleName, matchIndex, outcome, reason, match };
}
