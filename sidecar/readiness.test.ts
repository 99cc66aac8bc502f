// Ready for probes, and announced to other sidecars: two answers from the same facts.
import { expect, test } from "vitest";
import { type AppState, Readiness } from "./readiness.ts";

function setUp(app: AppState) {
  const announced: string[] = [];
  const readiness = new Readiness(
    app,
    () => "where it comes from",
    (isReady, reason) => {
      announced.push(`${isReady} ${reason}`);
      return true;
    },
  );
  return { announced, readiness };
}

test("is ready with a configuration, announced when the app listens as well", () => {
  const { announced, readiness } = setUp("not-listening");
  expect(readiness.report()).toMatchObject({ isReady: false });
  readiness.setConfigured();
  expect(readiness.report().isReady).toBe(true);
  expect(announced).toEqual([]);
  readiness.setAppListening(true);
  readiness.setConfigured(); // again, with every update
  expect(announced).toEqual(["true ready"]);
});

test("an app that listens before there is a configuration waits for it", () => {
  const { announced, readiness } = setUp("not-listening");
  readiness.setAppListening(true);
  expect(announced).toEqual([]);
  readiness.setConfigured();
  expect(announced).toEqual(["true ready"]);
});

test("an app that goes is withdrawn, and announced when it comes back; probes are not told off for it", () => {
  const { announced, readiness } = setUp("not-listening");
  readiness.setConfigured();
  for (const isListening of [true, false, true]) readiness.setAppListening(isListening);
  expect(announced).toEqual(["true ready", "false app not listening", "true ready"]);
  expect(readiness.report().isReady).toBe(true);
});

test("draining withdraws for good, and says whether anybody was told", () => {
  const { announced, readiness } = setUp("not-listening");
  readiness.setConfigured();
  readiness.setAppListening(true);
  expect(readiness.setDraining()).toBe(true);
  expect(readiness.setDraining()).toBe(false);
  readiness.setAppListening(false);
  readiness.setAppListening(true);
  expect(announced).toEqual(["true ready", "false draining"]);
  expect(readiness.report()).toMatchObject({
    isReady: false,
    lines: expect.arrayContaining([expect.stringContaining("draining")]),
  });
});

test("without an app the configuration is enough", () => {
  const { announced, readiness } = setUp("none");
  readiness.setConfigured();
  expect(announced).toEqual(["true ready"]);
});
