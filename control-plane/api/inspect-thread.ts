// Inspects large sources on a thread of its own: reading megabytes of YAML takes seconds, in which the control plane
// would neither push endpoints nor answer heartbeats. This file is both ends: the thread runs it too.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { status } from "@grpc/grpc-js";
import { ApiError } from "./call.ts";
import { type Inspection, inspect, type Verdict } from "./inspect.ts";

/** Smaller ones are read faster than a thread starts. */
const THREAD_CHARACTERS_MIN = 128 * 1024;
const THREAD_HEAP_MEGABYTES_MAX = 1_024;

interface ThreadData {
  readonly weftInspection: Inspection;
}

/** Answers what `inspect` does. */
export function inspectAside(inspection: Inspection): Promise<Verdict> {
  const characters = inspection.texts.reduce((total, { content }) => total + content.length, 0);
  if (characters < THREAD_CHARACTERS_MIN) return Promise.resolve(inspect(inspection));
  return new Promise((resolve, reject) => {
    const data: ThreadData = { weftInspection: inspection };
    const resourceLimits = { maxOldGenerationSizeMb: THREAD_HEAP_MEGABYTES_MAX };
    const thread = new Worker(import.meta.filename, { workerData: data, resourceLimits });
    thread.once("message", resolve);
    thread.once("error", (error: Error) => reject(failureOf(error)));
    thread.once("exit", () => reject(new Error("the thread that checked the sources ended without an answer")));
  });
}

function failureOf(error: Error): Error {
  if (!("code" in error) || error.code !== "ERR_WORKER_OUT_OF_MEMORY") return error;
  return new ApiError(status.RESOURCE_EXHAUSTED, "the sources need too much memory to be checked; apply them in parts");
}

function isThreadData(data: unknown): data is ThreadData {
  return data !== null && typeof data === "object" && "weftInspection" in data;
}

if (!isMainThread && isThreadData(workerData)) parentPort?.postMessage(inspect(workerData.weftInspection));
