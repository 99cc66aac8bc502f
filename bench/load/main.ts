// The load process: listens as the endpoint, then does one command after the other. Started by load-process.ts.
import type { Command, Reply } from "./contract.ts";
import { Endpoint } from "./endpoint.ts";
import { HeldConnections, runLoad } from "./run-load.ts";

const endpoint = new Endpoint();
const held = new HeldConnections();

function say(reply: Reply): void {
  process.send?.(reply);
}

async function obey(command: Command): Promise<Reply> {
  switch (command.kind) {
    case "use":
      endpoint.use(command.workload);
      return { kind: "done" };
    case "hold":
      await held.open(command.connections, command.target, endpoint.workload);
      return { kind: "done" };
    case "let-go":
      held.letGo();
      return { kind: "done" };
    case "calls":
      throw new Error("calls are made by grpc-main.ts");
    default:
      return { kind: "report", report: await runLoad(command, endpoint.workload) };
  }
}

process.on("message", (command: Command) => {
  obey(command).then(say, (error: unknown) => say({ kind: "failed", message: String(error) }));
});
process.on("disconnect", () => process.exit(0));
say({ kind: "listening", ports: await endpoint.listen() });
