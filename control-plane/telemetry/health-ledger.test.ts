// What is known of endpoints from the sidecars that call them.
import { expect, test } from "vitest";
import { HealthLedger, REPORT_ENDPOINTS_MAX } from "./health-ledger.ts";

const sick = (address: string) => ({ service: "d/a", address, active: "", passive: "consecutive-errors", circuit: "" });

test("the last report of each connected caller counts", () => {
  const [w1, w2] = [{}, {}];
  const ledger = new HealthLedger();
  ledger.report(w2, "w2", [sick("10.0.0.1:80")]);
  ledger.report(w1, "w1", [sick("10.0.0.1:80"), sick("10.0.0.2:80")]);
  expect(ledger.about("10.0.0.1:80").map(({ workloadId }) => workloadId)).toEqual(["w1", "w2"]);
  ledger.report(w1, "w1", [sick("10.0.0.2:80")]);
  ledger.forget(w2);
  expect(ledger.about("10.0.0.1:80")).toEqual([]);
  ledger.report(w1, "w1", []);
  expect(ledger.about("10.0.0.2:80")).toEqual([]);
});

test("a report is bounded", () => {
  const ledger = new HealthLedger();
  ledger.report(
    {},
    "w",
    Array.from({ length: REPORT_ENDPOINTS_MAX + 1 }, (_, index) => sick(`h:${index}`)),
  );
  expect(ledger.about(`h:${REPORT_ENDPOINTS_MAX - 1}`)).toHaveLength(1);
  expect(ledger.about(`h:${REPORT_ENDPOINTS_MAX}`)).toHaveLength(0);
});
