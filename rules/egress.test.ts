// Which hosts outside the mesh a list lets through.
import { expect, test } from "vitest";
import { egressVerdict } from "./egress.ts";

test.each([
  [["*"], "anything.example.com", 443, "any"],
  [["*", "api.example.com"], "api.example.com", 443, "listed"],
  [["api.example.com", "*"], "www.example.com", 443, "any"],
  [["api.example.com"], "api.example.com", 443, "listed"],
  [["api.example.com"], "API.example.com.", 443, "listed"],
  [["api.example.com"], "www.example.com", 443, "denied"],
  [["api.example.com:443"], "api.example.com", 443, "listed"],
  [["api.example.com:443"], "api.example.com", 80, "denied"],
  [["*.example.com"], "a.b.example.com", 80, "listed"],
  [["*.example.com"], "example.com", 80, "denied"],
  [["*.example.com"], "badexample.com", 80, "denied"],
  [["*.example.com"], ".example.com", 80, "denied"],
  [["*.example.com:8080"], "a.example.com", 8080, "listed"],
  [["[::1]"], "[::1]", 80, "listed"],
  [["[::1]:80"], "[::1]", 81, "denied"],
  [["*:443"], "example.com", 443, "any"],
  [["*:443"], "example.com", 80, "denied"],
  [[], "example.com", 80, "denied"],
  [["*"], "", 80, "denied"],
])("the list %j says of %s on port %d: %s", (allow, hostname, port, expected) => {
  expect(egressVerdict(allow, hostname, port)).toBe(expected);
});
