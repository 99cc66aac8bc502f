// The command about canary releases.
import type { CommandSpec } from "./command.ts";
import { ALL_NAMESPACES, FILENAME } from "./options.ts";
import { ROLLOUT_ACTIONS } from "./rollout-actions.ts";

export const ROLLOUT_COMMANDS: readonly CommandSpec[] = [
  {
    name: "rollout",
    group: "Rules",
    summary: "Run canary releases: start, status, pause, resume, promote, abort, list, history",
    details:
      "NAME is the name of the Rollout document; it may be left out where the namespace has only one.\n" +
      "status --watch and start --wait exit with 0 when the canary was promoted, 1 when it was rolled back,\n" +
      "4 when the time of --wait was over before.",
    arguments: [
      { syntax: "<action>", help: ROLLOUT_ACTIONS.join(", "), values: "none" },
      { syntax: "[name]", help: "name of the Rollout", values: "none" },
    ],
    options: [
      FILENAME,
      { flags: "--service <service>", help: "start: service whose traffic is shifted", values: "service" },
      { flags: "--stable <service>", help: "start: version that has the traffic", values: "service" },
      { flags: "--canary <service>", help: "start: the new version", values: "service" },
      { flags: "--steps <weights>", help: "start: percentages, such as 5,25,50,100", values: "none" },
      { flags: "--hold <duration>", help: "start: time of each step but the last (default 2m)", values: "none" },
      { flags: "-w, --watch", help: "status: follow it to its end" },
      {
        flags: "--wait [duration]",
        help: "start, status --watch: return at the end, or after this time (default: however long it takes)",
        values: "none",
      },
      { flags: "--full", help: "promote: straight to the end, without the steps between" },
      {
        flags: "--step <number>",
        help: "promote, resume: only if it is at this step, 1 for the first",
        values: "none",
      },
      { flags: "--limit <count>", help: "history: events to show (default 50)", values: "none" },
      ALL_NAMESPACES,
    ],
    examples: [
      ["weft rollout start -f rollout.yaml --wait", "begin, and wait for the end: for pipelines"],
      ["weft rollout start --service orders --canary orders-v2 --steps 5,25,50,100", "without a file"],
      ["weft rollout status orders --watch", "step, weight and figures of both versions, live"],
      ["weft rollout resume orders", "go on from a step that waits"],
      ["weft rollout promote orders --full", "all traffic to the canary now"],
      ["weft rollout abort orders", "all traffic back to the stable version now"],
      ["weft rollout history orders", "what happened, and who asked for it"],
    ],
    load: async () => (await import("./commands/rollout.ts")).rollout,
  },
];
