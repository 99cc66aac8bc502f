// Numbered rules whose every part carries the number, so that an answer made by a mixture of two revisions gives
// itself away: the header that the request got, the header that the response got, and the version that answered.
import type { Answer } from "./ask.ts";

/** Rule `number`: even numbers send everything to v2, odd ones to v1. */
export function numberedRule(number: number): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - filters:
        - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-rule, value: "${number}" }] } }
        - { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-rule, value: "${number}" }] } }
      backendRefs: [{ name: orders-${versionOf(number)}, port: 80 }]
`;
}

/**
 * What is wrong with an answer under numbered rules.
 * @param liveNumber the highest rule known to have been live when the request was sent
 */
export function checkAnswer(answer: Answer, liveNumber: number): string | undefined {
  if (answer.status !== 200) {
    return `status ${answer.status} (${String(answer.headers["x-weft-reason"] ?? "no reason")}) after rule ${liveNumber}`;
  }
  const given = Number(answer.headers["x-rule"]);
  const parts = `request ${String(answer.headers["x-seen-rule"])}, response ${given}, ${String(answer.headers["x-version"])}`;
  if (Number(answer.headers["x-seen-rule"]) !== given || answer.headers["x-version"] !== versionOf(given)) {
    return `a mixture of revisions: ${parts}`;
  }
  if (given < liveNumber) return `an old rule: ${parts}, although ${liveNumber} was live before the request was sent`;
  return undefined;
}

function versionOf(number: number): string {
  return number % 2 === 0 ? "v2" : "v1";
}
