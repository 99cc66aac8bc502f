// HOST:PORT as people type it, and as a listener reports it.

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const PORT_MAX = 65_535;

/**
 * Reads `HOST:PORT`, `[v6]:PORT` or `:PORT` (all addresses).
 * @returns undefined when the text is no such thing.
 */
export function parseHostPort(text: string): HostPort | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return undefined;
  const digits = text.slice(colon + 1);
  if (!/^\d{1,5}$/.test(digits) || Number(digits) > PORT_MAX) return undefined;
  let host = text.slice(0, colon);
  if (host.startsWith("[") && host.endsWith("]")) host = host.slice(1, -1);
  else if (host.includes(":")) return undefined;
  return { host: host === "" ? "0.0.0.0" : host, port: Number(digits) };
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
