// One HTTP request to somebody else's server, by undici: bounded in time and in size, redirects not followed. Who is
// asked what is outside.ts and notices.ts.
import type { Agent, request } from "undici";
import type { Clock } from "../../runtime/clock.ts";

/** An answer larger than this is none. */
const ANSWER_BYTES_MAX = 1024 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;

export interface HttpQuestion {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For all of it, answer included. */
  readonly timeoutMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** Rejects when there is no whole answer in time. */
export type HttpCall = (question: HttpQuestion) => Promise<HttpAnswer>;

interface Undici {
  readonly agent: Agent;
  readonly request: typeof request;
}

/** Loads undici with the first call: most control planes never make one. */
export function createHttpCall(clock: Clock): HttpCall {
  let loading: Promise<Undici> | undefined;
  return async ({ url, method, headers, body, timeoutMs }) => {
    loading ??= load();
    const { agent, request } = await loading;
    const late = new AbortController();
    const timer = clock.after(timeoutMs, () => late.abort(new Error(`no answer within ${timeoutMs} ms`)));
    try {
      const options = { dispatcher: agent, method, headers: { ...headers }, body: body ?? null, signal: late.signal };
      const response = await request(url, options);
      return { status: response.statusCode, text: await response.body.text() };
    } finally {
      timer.cancel();
    }
  };
}

async function load(): Promise<Undici> {
  const { Agent, request } = await import("undici");
  const agent = new Agent({ maxResponseSize: ANSWER_BYTES_MAX, connect: { timeout: CONNECT_TIMEOUT_MS } });
  return { agent, request };
}
