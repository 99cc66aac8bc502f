// One profile at a time, through the inspector that is part of Node. Nothing is opened on the network.
import type { Session } from "node:inspector/promises";

/** "cpu": where time goes. "heap": who allocated what is still there, by samples; a full snapshot would stop traffic. */
export type ProfileKind = "cpu" | "heap";

/** Code of the error of who asks while another profile is taken. */
export const PROFILER_BUSY = "EBUSY";

export interface ProfileOrder {
  readonly kind: ProfileKind;
  readonly durationMs: number;
}

/** Takes profiles in the .cpuprofile and .heapprofile forms of Chrome DevTools. */
export class Profiler {
  #isRunning = false;

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Profiles until `during` resolves. */
  async take(kind: ProfileKind, during: () => Promise<void>): Promise<object> {
    this.#isRunning = true;
    const { Session } = await import("node:inspector/promises");
    const session = new Session();
    try {
      session.connect();
      return kind === "cpu" ? await cpuProfile(session, during) : await heapProfile(session, during);
    } finally {
      session.disconnect();
      this.#isRunning = false;
    }
  }
}

async function cpuProfile(session: Session, during: () => Promise<void>): Promise<object> {
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  await during();
  return (await session.post("Profiler.stop")).profile;
}

async function heapProfile(session: Session, during: () => Promise<void>): Promise<object> {
  await session.post("HeapProfiler.enable");
  await session.post("HeapProfiler.startSampling");
  await during();
  return (await session.post("HeapProfiler.stopSampling")).profile;
}
