// The actions of `weft rollout`, in the order the help shows them.

export const ROLLOUT_ACTIONS = ["start", "status", "pause", "resume", "promote", "abort", "list", "history"] as const;

export type RolloutAction = (typeof ROLLOUT_ACTIONS)[number];
