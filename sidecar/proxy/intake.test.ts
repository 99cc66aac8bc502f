// What is held of a client's bytes: copied once, however many requests they are, and not read past.
import { expect, test } from "vitest";
import { Intake } from "./intake.ts";

function attached(): { intake: Intake; calls: string[] } {
  const intake = new Intake();
  const calls: string[] = [];
  intake.attach({ pauseReading: () => calls.push("pause"), resumeReading: () => calls.push("resume") });
  return { intake, calls };
}

const textOf = ({ held, heldAt }: Intake): string => held.toString("latin1", heldAt);

test("what is left of what was held is held again where it is", () => {
  const { intake, calls } = attached();
  const read = Buffer.from("first second third");
  intake.hold(read, 6, read.length);
  intake.update();
  read.fill("x");
  const { held } = intake;
  expect(textOf(intake)).toBe("second third");
  intake.hasHeld = false;
  intake.hold(held, 7, held.length);
  intake.update();
  expect(intake.held).toBe(held);
  expect(textOf(intake)).toBe("third");
  intake.hasHeld = false;
  intake.update();
  expect(intake.held).toHaveLength(0);
  expect(calls).toEqual(["pause", "resume"]);
});

test("what comes behind what is held is held with it", () => {
  const { intake } = attached();
  intake.hold(Buffer.from("first second"), 0, 12);
  intake.hasHeld = false;
  intake.hold(intake.held, 6, 12);
  intake.hold(Buffer.from(" third"), 0, 6);
  expect(textOf(intake)).toBe("second third");
});
