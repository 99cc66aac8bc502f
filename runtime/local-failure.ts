// Failures to connect that are this side's own: no descriptor, no port, no memory for one more socket. They say nothing
// about the peer. HAProxy tells them apart too (termination code "R": a resource of the proxy has been exhausted).
import { isIPv4 } from "node:net";

/** Per process, per system, of the kernel's buffers, and of memory altogether (socket(2), connect(2)). */
const OUT_OF_RESOURCES: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

/** Is `error`, of a socket that should connect, no fault of whom it should connect to? */
export function isLocalFailure(error: Error): boolean {
  const { code = "", address = "" } = error as NodeJS.ErrnoException & { readonly address?: string };
  if (OUT_OF_RESOURCES.has(code)) return true;
  // Every local port towards this address is taken (ip(7)). Of IPv6 it may also mean that there is no such network here.
  return code === "EADDRNOTAVAIL" && isIPv4(address);
}
