// One CPU profile at a time, through the inspector that is part of Node. Nothing is opened on the network.
import { Session } from "node:inspector/promises";

/** Takes profiles in the .cpuprofile form of Chrome DevTools. */
export class CpuProfiler {
  #isRunning = false;

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Profiles until `during` resolves. */
  async take(during: () => Promise<void>): Promise<object> {
    this.#isRunning = true;
    const session = new Session();
    try {
      session.connect();
      await session.post("Profiler.enable");
      await session.post("Profiler.start");
      await during();
      return (await session.post("Profiler.stop")).profile;
    } finally {
      session.disconnect();
      this.#isRunning = false;
    }
  }
}
