// What every action of `weft rollout` works with.
import type { RolloutsServiceClient } from "../../proto/gen/weft/v1/rollouts.ts";
import type { Invocation } from "./command.ts";
import type { Connection } from "./connection.ts";

export interface RolloutCall {
  readonly invocation: Invocation;
  readonly connection: Connection;
  readonly client: RolloutsServiceClient;
}
