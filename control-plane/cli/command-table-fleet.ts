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
    summary: "Show where a request would go and why, or with --trace where one went",
    details:
      "Runs the lookup that the sidecars run. With -f, as if those documents were applied too. With --trace asks all sidecars what they decided about a request that has been.",
    arguments: [
      { syntax: "[method]", help: "request method, such as GET", values: "none" },
      {
        syntax: "[url]",
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
      {
        flags: "--trace <id>",
        help: "a request that has been: its trace id, traceparent or x-request-id",
        values: "none",
      },
      {
        flags: "--sidecar <host:port>",
        help: "with --trace: ask this sidecar's admin port instead of the control plane; repeatable",
        repeatable: true,
        values: "none",
      },
    ],
    examples: [
      ["weft explain --trace 4bf92f3577b34da6a3ce929d0e0e4736", "what was decided about a request, at every sidecar"],
      ["weft explain GET http://orders/api/items", "route, rule, split, policies, and why not the other rules"],
      ["weft explain GET orders/api -H 'x-tester: 1' --from web", "with a header, as the web service calls it"],
      ["weft explain GET orders/api -f new-route.yaml", "what if these documents were applied"],
    ],
    load: async () => (await import("./commands/explain.ts")).explain,
  },
  {
    name: "top",
    group: "Fleet",
    summary: "Show rate, errors and durations of the traffic now",
    details:
      "As callers' sidecars see it: means of the last 10 seconds, percentiles of the last 10 to 20. SERVICE narrows it to requests to one service. With --watch it goes on: redrawn on a terminal, lines with tabs in a pipe, with -o json a document a second.",
    arguments: [{ syntax: "[service]", help: "name of a service", values: "service" }],
    options: [
      { flags: "--by <what>", help: "service (default), route, version or source (who calls)", values: "none" },
      { flags: "-w, --watch", help: "go on, once a second, until Ctrl-C" },
    ],
    examples: [
      ["weft top --watch", "services, busiest first"],
      ["weft top orders --by version", "both versions of a release next to each other"],
    ],
    load: async () => (await import("./commands/top.ts")).top,
  },
  {
    name: "tap",
    group: "Fleet",
    summary: "Show live requests to a service as they end, with what was decided about each",
    details:
      "SERVICE is the one that is called or that a rule sends to, NAME.NAMESPACE too; without it every request is shown. Under load a sample is shown, and how many requests are not is said on stderr. With -o wide a line ends with the id that explain --trace takes, with -o json it is a document.",
    arguments: [{ syntax: "[service]", help: "name of a service", values: "service" }],
    options: [
      { flags: "--route <name>", help: "only requests that this route acted on", values: "name" },
      {
        flags: "--status <status>",
        help: "only these statuses: 503, 5xx or 400-499; repeatable",
        repeatable: true,
        values: "none",
      },
      {
        flags: "--reason <reason>",
        help: "only answers that the mesh made for this reason; any: for whatever reason",
        values: "none",
      },
      { flags: "--slower <duration>", help: "only requests that took at least as long, such as 100ms", values: "none" },
      {
        flags: "-H, --header <header>",
        help: "only requests with this header, 'name: value' or a name; repeatable, all must be there",
        repeatable: true,
        values: "none",
      },
      {
        flags: "--direction <direction>",
        help: "outbound (as callers see it; default), inbound (as the service's sidecars see it) or both",
        values: "none",
      },
      {
        flags: "--max-rps <count>",
        help: "requests shown per second at most (default 100, at most 1000)",
        values: "none",
      },
      { flags: "--count <count>", help: "end after so many requests", values: "none" },
      { flags: "--for <duration>", help: "end after this time", values: "none" },
    ],
    examples: [
      ["weft tap orders", "requests to orders as they end"],
      ["weft tap orders --status 5xx --slower 100ms", "those that failed slowly"],
      ["weft tap orders -o json --for 10s | jq -r .version | sort | uniq -c", "how a split really falls"],
    ],
    load: async () => (await import("./commands/tap.ts")).tap,
  },
  {
    name: "check",
    group: "Fleet",
    summary: "Check whether everything is healthy, and say what to do about what is not",
    examples: [["weft check", "exit code 0 only when no check failed"]],
    load: async () => (await import("./commands/check.ts")).check,
  },
];
