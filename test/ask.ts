// One HTTP/1.1 request with full control over its Host header, which fetch does not give. For tests.
import { type Agent, type IncomingHttpHeaders, request } from "node:http";

export interface Question {
  /** `HOST:PORT` to connect to. */
  readonly address: string;
  readonly path?: string;
  /** The request-target as it goes on the wire, instead of the path: an absolute-form for a proxy. */
  readonly target?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const TIMEOUT_MS = 10_000;

/** Rejects when no complete answer came. */
export function ask(question: Question): Promise<Answer> {
  const { address, path = "/", target = path, method = "GET", headers = {}, agent } = question;
  return new Promise((settle, fail) => {
    const outgoing = request(
      `http://${address}`,
      { path: target, method, headers: { ...headers }, agent: agent ?? false, timeout: TIMEOUT_MS },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (text: string) => {
          body += text;
        });
        response.on("error", fail);
        response.on("end", () => settle({ status: response.statusCode ?? 0, headers: response.headers, body }));
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error(`nothing heard for ${TIMEOUT_MS} ms`)));
    outgoing.on("error", fail);
    outgoing.end();
  });
}
