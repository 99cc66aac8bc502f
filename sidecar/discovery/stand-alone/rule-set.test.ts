// What a stand-alone sidecar says of its rules beyond what any sidecar would: it knows one service, its own.
import { expect, test } from "vitest";
import { compileRuleSet } from "./rule-set.ts";

const limitOf = (name: string) => `apiVersion: weft.mesh/v1
kind: RateLimit
metadata: { name: ${name} }
spec:
  targetRef: { kind: Service, name: ${name} }
  limits: [{ requests: 1, per: 1s }]
`;

const warnings = (content: string) =>
  compileRuleSet([{ name: "rules.yaml", content }], ["default/web", "default/web-v1"]).diagnostics.map(
    ({ path, message }) => `${path}: ${message}`,
  );

test("limits of its own service and version act, and no warning says otherwise", () => {
  expect(warnings(limitOf("web"))).toEqual([]);
  expect(warnings(limitOf("web-v1"))).toEqual([]);
});

test("limits of a service that nobody declares are doubtful", () => {
  expect(warnings(limitOf("wep"))).toEqual([
    "spec.targetRef.name: service default/wep does not exist: without effect until it does",
  ]);
});
