// Every command of the CLI, in the order the help shows them. Data only: what a command does is in commands/.

import type { CommandSpec } from "./command.ts";
import { FLEET_COMMANDS } from "./command-table-fleet.ts";
import { ROLLOUT_COMMANDS } from "./command-table-rollout.ts";
import { RULES_COMMANDS } from "./command-table-rules.ts";
import { TOOL_COMMANDS } from "./command-table-tools.ts";

export const COMMANDS: readonly CommandSpec[] = [
  ...RULES_COMMANDS,
  ...ROLLOUT_COMMANDS,
  ...FLEET_COMMANDS,
  ...TOOL_COMMANDS,
];
