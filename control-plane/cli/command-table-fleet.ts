// The commands about what is running and where requests go.
import type { CommandSpec } from "./command.ts";
import { ALL_NAMESPACES, FILENAME } from "./options.ts";

export const FLEET_COMMANDS: readonly CommandSpec[] = [
  {
    name: "sidecars",
    group: "Fleet",
    summary: "List sidecars: version, revision, synced / pending / refused, age",
    details: "Shows every namespace unless -n names one.",
    options: [ALL_NAMESPACES],
    examples: [
      ["weft sidecars", "the whole fleet"],
      ["weft sidecars -n shop -o wide", "one namespace, with addresses, push times and subscriptions"],
    ],
    load: async () => (await import("./commands/sidecars.ts")).sidecars,
  },
  {
    name: "services",
    group: "Fleet",
    summary: "List services with their versions, endpoints and rules",
    details: "Shows every namespace unless -n names one.",
    options: [ALL_NAMESPACES],
    examples: [["weft services", "documented services and those that exist because a sidecar runs"]],
    load: async () => (await import("./commands/services.ts")).services,
  },
  {
    name: "endpoints",
    group: "Fleet",
    summary: "List endpoints of all services or of one",
    details: "Shows every namespace unless -n names one; SERVICE may be written NAME.NAMESPACE.",
    arguments: [{ syntax: "[service]", help: "name of a service", values: "service" }],
    options: [ALL_NAMESPACES],
    examples: [
      ["weft endpoints", "every endpoint"],
      ["weft endpoints orders -o wide", "one service's, with labels and leases"],
    ],
    load: async () => (await import("./commands/endpoints.ts")).endpoints,
  },
  {
    name: "explain",
    group: "Fleet",
    summary: "Show where a request would go and why",
    details: "Runs the lookup that the sidecars run. With -f, as if those documents were applied too.",
    arguments: [
      { syntax: "<method>", help: "request method, such as GET", values: "none" },
      {
        syntax: "<url>",
        help: "http://SERVICE[:PORT]/PATH, SERVICE/PATH, or /PATH with -H 'host: SERVICE'",
        values: "none",
      },
    ],
    options: [
      {
        flags: "-H, --header <header>",
        help: "request header 'name: value'; repeatable",
        repeatable: true,
        values: "none",
      },
      {
        flags: "--from <service>",
        help: "the calling service; decides the namespace of bare names",
        values: "service",
      },
      FILENAME,
    ],
    examples: [
      ["weft explain GET http://orders/api/items", "route, rule, split, policies, and why not the other rules"],
      ["weft explain GET orders/api -H 'x-tester: 1' --from web", "with a header, as the web service calls it"],
      ["weft explain GET orders/api -f new-route.yaml", "what if these documents were applied"],
    ],
    load: async () => (await import("./commands/explain.ts")).explain,
  },
  {
    name: "check",
    group: "Fleet",
    summary: "Check whether everything is healthy, and say what to do about what is not",
    examples: [["weft check", "exit code 0 only when no check failed"]],
    load: async () => (await import("./commands/check.ts")).check,
  },
];
