// Opens the local ports of --tcp, and says for the ready line which address each service got.
import { formatHostPort } from "../runtime/address.ts";
import { bindFailure } from "./start-failure.ts";
import type { TcpListen } from "./tcp-flag.ts";
import type { Traffic } from "./traffic.ts";

/**
 * @returns HOST:PORT by the name that was asked for; nothing where no port was asked for
 * @throws StartFailure when an address cannot be bound
 */
export async function openTcpListeners(
  listens: readonly TcpListen[],
  traffic: Pick<Traffic, "openTcp">,
): Promise<{ readonly tcp?: Readonly<Record<string, string>> }> {
  const addresses: Record<string, string> = {};
  for (const { at, service } of listens) {
    try {
      addresses[service.name] = await traffic.openTcp(at, service);
    } catch (error) {
      throw bindFailure("--tcp", formatHostPort(at.host, at.port), error);
    }
  }
  return listens.length === 0 ? {} : { tcp: addresses };
}
