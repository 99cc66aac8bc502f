// Two proxies in a row, measured as one: the near one takes the clients, the far one stands before the endpoint.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Peer } from "./contract.ts";

/** What it is called from the near one on; its CPU time counts together, the near one's processes first. */
export function chain(name: string, near: Peer, far: Peer): Peer {
  return {
    name,
    async start({ endpointPorts, folder }) {
      const last = await far.start({ endpointPorts, folder: made(folder, `${name} far`) });
      if (last === undefined) return undefined;
      const first = await near.start({ endpointPorts: [last.port], folder: made(folder, `${name} near`) });
      const stop = async (): Promise<void> => {
        await first?.stop();
        await last.stop();
      };
      if (first === undefined) {
        await stop();
        return undefined;
      }
      return { ...first, name, pids: [...first.pids, ...last.pids], stop };
    },
  };
}

function made(folder: string, name: string): string {
  // Without spaces: nginx takes the path from its configuration as one word.
  const path = join(folder, name.replaceAll(" ", "-"));
  mkdirSync(path);
  return path;
}
