// A local port that stands for one service of bytes: whoever connects is connected to an endpoint of it.
import type { HostPort } from "../../runtime/address.ts";
import type { DataPath } from "./data-path.ts";
import { type Listener, startListener } from "./listener.ts";
import { TcpClient } from "./tcp-client.ts";
import { TcpRouter, type TcpService } from "./tcp-router.ts";

interface TcpOptions {
  readonly path: DataPath;
  readonly listen: HostPort;
  readonly service: TcpService;
  readonly reusePort?: boolean;
}

/** Listens for the app's connections to `service`. Rejects with Node's error when the port cannot be had. */
export function startTcp({ service, ...options }: TcpOptions): Promise<Listener> {
  const { path } = options;
  const router = new TcpRouter(path, service);
  return startListener({ ...options, router, newLink: (socket, owner) => new TcpClient(socket, owner, path, router) });
}
