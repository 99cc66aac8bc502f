// The floor of everything that is written for Node: one connection to the endpoint for each client, bytes passed on as
// they come, nobody looks at them. On the sockets of the data path. A program of its own, started by node-peers.ts.
import { createServer, type Socket } from "node:net";
import { parseArgs } from "node:util";
import { latin1 } from "../../runtime/latin1.ts";
import { adoptSocket, type ByteReader, chooseSocketMode, connectSocket } from "../../runtime/shared-socket.ts";

const { values } = parseArgs({ options: { port: { type: "string" }, endpoint: { type: "string" } } });
const mode = await chooseSocketMode();

class Side implements ByteReader {
  other: Socket | undefined = undefined;

  onBytes(bytes: Buffer, length: number): void {
    this.other?.write(latin1(bytes, 0, length), "latin1");
  }
}

function join(one: Socket, other: Socket): void {
  one.on("error", () => {});
  one.on("end", () => one.end());
  one.on("close", () => other.destroy());
}

const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (accepted) => {
  const near = new Side();
  const far = new Side();
  const client = adoptSocket(accepted, near, mode);
  const endpoint = connectSocket({ host: "127.0.0.1", port: Number(values.endpoint) }, far, mode);
  near.other = endpoint;
  far.other = client;
  join(client, endpoint);
  join(endpoint, client);
  client.resume();
});
server.listen(Number(values.port), "127.0.0.1");
