// A connection that met itself. The kernel draws the local port of a new connection out of the range from which apps may
// have theirs as well; where it draws the very port that nobody listens on, TCP connects the socket to itself (RFC 9293
// section 3.5, simultaneous open; Linux: one in 14,000 attempts at a port of its range). It echoes what is written on it,
// and keeps whoever should listen there from binding the port.
import type { Socket } from "node:net";

/** What such a connection stands for: nobody listens there. */
export const SELF_CONNECTED = "connect ECONNREFUSED: the connection met itself";

/** Is this socket, which has just been connected, its own peer? */
export function isSelfConnected({ localPort, remotePort, localAddress, remoteAddress }: Socket): boolean {
  return localPort === remotePort && localPort !== undefined && localAddress === remoteAddress;
}
