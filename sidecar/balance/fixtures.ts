// Endpoints without a network, for the tests and simulations of this room.
import { PeakEwma } from "./latency.ts";
import type { Member } from "./member-set.ts";

export interface FakeMember extends Member {
  readonly name: string;
  activeRequests: number;
  isHealthy: boolean;
  healthySinceMs: number;
  utilization: number;
}

export function fakeMember(name: string, weight = 1, zone = ""): FakeMember {
  return {
    name,
    key: `10.0.0.${name}:80`,
    weight,
    share: weight,
    credit: 0,
    activeRequests: 0,
    latency: new PeakEwma(),
    isHealthy: true,
    zone,
    healthySinceMs: Number.NEGATIVE_INFINITY,
    utilization: -1,
    condition: "healthy",
  };
}

export function fakeMembers(count: number, weight = 1): FakeMember[] {
  return Array.from({ length: count }, (_, index) => fakeMember(`m${index}`, weight));
}
