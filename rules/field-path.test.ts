// Field paths as diagnostics show them.
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPath, parsePath } from "./field-path.ts";

test.each([
  [[], ""],
  [["spec", "rules", 0, "matches", 12, "path", "value"], "spec.rules[0].matches[12].path.value"],
  [["metadata", "labels", "app.kubernetes.io/name"], 'metadata.labels["app.kubernetes.io/name"]'],
  [["spec", "endpoints", 0, "addresses", "80"], 'spec.endpoints[0].addresses["80"]'],
])("%j is %s", (path, text) => {
  expect(formatPath(path)).toBe(text);
  expect(parsePath(text)).toEqual(path);
});

test("every path can be read back", () => {
  const step = fc.oneof(fc.nat(1000), fc.string());
  fc.assert(
    fc.property(fc.array(step), (path) => {
      expect(parsePath(formatPath(path))).toEqual(path);
    }),
  );
});

test("what cannot be read ends the path", () => {
  expect(parsePath("spec.rules[x]")).toEqual(["spec", "rules"]);
});
