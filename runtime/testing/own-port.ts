// For tests: makes connections meet themselves, which the kernel lets happen once in many thousand attempts.
import { createServer, Socket, type TcpSocketConnectOpts } from "node:net";

/** From now on this process's connections to `port` come from that very port. @returns ends that */
export function connectFromOwnPort(port: number): () => void {
  const { connect } = Socket.prototype;
  Socket.prototype.connect = function connectFrom(this: Socket, ...args: unknown[]): Socket {
    // node:net hands its own functions an array with the options in front.
    const first = Array.isArray(args[0]) ? args[0][0] : args[0];
    const options = first as TcpSocketConnectOpts;
    if (options.port === port) Object.assign(options, { localPort: port, localAddress: options.host });
    return Reflect.apply(connect, this, args);
  };
  return () => {
    Socket.prototype.connect = connect;
  };
}

/** A port of the loopback on which nobody listens. */
export function deadPort(): Promise<number> {
  return new Promise((settle) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => settle(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
