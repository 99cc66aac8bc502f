// Counts which version answers, over many requests by as many users, one after the other on a few connections: the
// answers' bytes are only looked at for the version, so that 100,000 of them take seconds.
import { connect } from "node:net";

const CONNECTIONS = 16;
const MARK = "x-version: v";

/** @returns percent of the answers that v2 gave. Rejects when an answer is not 200. */
export async function countShare(address: string, requests: number): Promise<number> {
  const colon = address.lastIndexOf(":");
  const at = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
  let next = 0;
  const user = (): number | undefined => (next < requests ? next++ : undefined);
  const counts = await Promise.all(Array.from({ length: CONNECTIONS }, () => askInTurn(at, user)));
  const canary = counts.reduce((sum, count) => sum + count, 0);
  return (100 * canary) / requests;
}

function askInTurn(at: { host: string; port: number }, user: () => number | undefined): Promise<number> {
  return new Promise((settle, fail) => {
    let canary = 0;
    let text = "";
    const socket = connect(at);
    const ask = (): void => {
      const number = user();
      if (number === undefined) {
        socket.destroy();
        settle(canary);
      } else socket.write(`GET / HTTP/1.1\r\nhost: orders\r\nx-user: user-${number}\r\n\r\n`);
    };
    socket.setNoDelay(true).setEncoding("latin1");
    socket.on("error", fail).on("close", () => fail(new Error("the connection was closed")));
    socket.on("connect", ask);
    socket.on("data", (chunk: string) => {
      text += chunk;
      // The application's answers are a head and `{"version":"v1"}`.
      if (!text.endsWith("}")) return;
      if (!text.startsWith("HTTP/1.1 200")) return fail(new Error(text.slice(0, 200)));
      if (text.charAt(text.indexOf(MARK) + MARK.length) === "2") canary++;
      text = "";
      ask();
    });
  });
}
