// Templates of access log lines.
import { expect, test } from "vitest";
import { parseTemplate } from "./access-log-template.ts";

test("text, operators, request fields and percent signs", () => {
  expect(parseTemplate('%METHOD% "%REQ(X-User)%" 100%%')).toEqual([
    { kind: "operator", operator: "METHOD" },
    { kind: "text", text: ' "' },
    { kind: "header", name: "x-user" },
    { kind: "text", text: '" 100' },
    { kind: "text", text: "%" },
  ]);
  expect(parseTemplate("")).toEqual([]);
});

test.each([
  ["%NOPE%", "%NOPE% is no operator"],
  ["%method%", "%method% is no operator"],
  ["%REQ()%", "%REQ()% is no operator"],
  ["100%", 'has a "%" without its second one; write %% for a percent sign'],
])("%s is refused: %s", (template, error) => expect(parseTemplate(template)).toEqual({ error }));
