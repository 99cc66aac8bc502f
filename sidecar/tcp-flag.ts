// The values of --tcp: a local port and the service of bytes that it stands for. Reads and checks them; listens nowhere.
import { InvalidArgumentError } from "commander";
import { parseServiceHost } from "../rules/host.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../runtime/address.ts";
import { listFlag } from "../runtime/flags.ts";
import type { TcpService } from "./proxy/tcp-router.ts";

/** One value of the flag. */
export interface TcpFlag {
  readonly at: HostPort;
  /** `SERVICE[.NAMESPACE][:PORT]`, as it was written. */
  readonly name: string;
}

/** A port to open. */
export interface TcpListen {
  readonly at: HostPort;
  readonly service: TcpService;
}

const FORM = "Expected [HOST:]PORT=SERVICE[.NAMESPACE][:PORT], such as 5432=postgres:5432 (port 0 chooses a free one).";
/** The app beside the sidecar is who should connect. */
const LOOPBACK = "127.0.0.1";
/** Each is a listener of every worker process. */
const LISTENERS_MAX = 256;

/** Argument parser: repeatable on the command line, comma-separated in the environment. */
export function tcpFlag(text: string, sofar: readonly TcpFlag[] = []): readonly TcpFlag[] {
  const values = listFlag(text);
  if (values.length === 0) throw new InvalidArgumentError(FORM);
  const all = [...sofar, ...values.map(tcpValue)];
  if (all.length > LISTENERS_MAX) throw new InvalidArgumentError(`Expected at most ${LISTENERS_MAX} of them.`);
  return all;
}

function tcpValue(text: string): TcpFlag {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError(FORM);
  const where = text.slice(0, equals).trim();
  const name = text.slice(equals + 1).trim();
  const at = parseHostPort(/^\d+$/.test(where) ? `${LOOPBACK}:${where}` : where);
  if (at === undefined) throw new InvalidArgumentError(`"${where}" is no address to listen on. ${FORM}`);
  if (parseServiceHost(name, "default") === undefined)
    throw new InvalidArgumentError(`"${name}" is no name of a service. ${FORM}`);
  return { at, name };
}

/** Why these values cannot be meant together, or undefined. @param namespace of names that have none of their own */
export function tcpContradiction(flags: readonly TcpFlag[], namespace: string): string | undefined {
  const addresses = new Set<string>();
  const services = new Set<string>();
  for (const { at, service } of tcpListens(flags, namespace)) {
    const address = formatHostPort(at.host, at.port);
    if (at.port !== 0 && addresses.has(address))
      return `--tcp ${address} is given twice: a port stands for one service`;
    addresses.add(address);
    const port = `${service.service} ${service.port}`;
    if (services.has(port)) return `--tcp names ${service.name} twice: a service has one local port`;
    services.add(port);
  }
  return undefined;
}

/** What to listen on. */
export function tcpListens(flags: readonly TcpFlag[], namespace: string): TcpListen[] {
  return flags.flatMap(({ at, name }) => {
    const host = parseServiceHost(name, namespace);
    return host === undefined ? [] : [{ at, service: { name, ...host } }];
  });
}
