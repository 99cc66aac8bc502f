// Who this sidecar is in the registry and where others reach it, decided once the inbound listener is bound.
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { hostname, networkInterfaces } from "node:os";
import { formatHostPort, type HostPort, parseHostPort } from "../runtime/address.ts";
import { type Clock, sleep } from "../runtime/clock.ts";
import type { SidecarSettings } from "./bootstrap.ts";

const ROUTE_LOOKUP_MS = 1_000;

/**
 * The registry's name for this instance. Made of what stays the same when the process restarts, so that a restart
 * takes over its own registration instead of standing beside it until the lease ends; a client that nobody reaches
 * has nothing of that kind and gets a new one each time.
 */
export function workloadId(settings: SidecarSettings, address: string): string {
  if (settings.id !== undefined) return settings.id;
  const { namespace, service, version } = settings;
  const name = `${namespace}/${service}${version === "" ? "" : `-${version}`}`;
  return address === "" ? `${name}@${hostname()}-${randomBytes(4).toString("hex")}` : `${name}@${address}`;
}

/**
 * HOST:PORT at which other sidecars reach the inbound listener. `--advertise` if given; else the listener's own
 * address; for a listener on all addresses the one from which this machine reaches the control plane, since the
 * others of the mesh are most likely there too.
 * @param bound the inbound listener's address
 */
export async function advertisedAddress(settings: SidecarSettings, bound: string, clock: Clock): Promise<string> {
  const { advertise, source } = settings;
  if (advertise !== undefined) return formatHostPort(advertise.host, advertise.port);
  const { host, port } = parseHostPort(bound) ?? { host: "", port: 0 };
  if (host !== "0.0.0.0" && host !== "::") return bound;
  if (source.type === "rules") return formatHostPort("127.0.0.1", port);
  const local = await Promise.race([addressTowards(source.address), sleep(clock, ROUTE_LOOKUP_MS)]);
  return formatHostPort(local ?? firstExternalAddress() ?? "127.0.0.1", port);
}

/** The source address that the routing table gives for a destination. Connecting a UDP socket sends nothing. */
function addressTowards(destination: HostPort): Promise<string | undefined> {
  return new Promise((settle) => {
    const socket = createSocket(destination.host.includes(":") ? "udp6" : "udp4");
    let isOver = false;
    const finish = (address: string | undefined): void => {
      if (!isOver) socket.close();
      isOver = true;
      settle(address);
    };
    socket.on("error", () => finish(undefined));
    socket.connect(destination.port, destination.host, () => finish(socket.address().address));
  });
}

function firstExternalAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}
