// What the shop consists of and where each part listens: the one table that everything else reads. Starts nothing;
// finds out whether the ports are free.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** The shop's services in the order in which they are started. */
const SHOP_SERVICES: readonly { service: string; version: string }[] = [
  { service: "payments", version: "v1" },
  { service: "orders", version: "v1" },
  { service: "orders", version: "v2" },
  { service: "web", version: "v1" },
  { service: "payments", version: "v2" },
];

export interface ServicePlan {
  readonly service: string;
  readonly version: string;
  /** "orders-v2". */
  readonly name: string;
  readonly ports: ServicePorts;
}

/** The last digits remind of the ports that mesh users know: 15001 outbound, 15006 inbound, 15000 admin, 15020 status. */
export interface ServicePorts {
  readonly app: number;
  readonly outbound: number;
  readonly inbound: number;
  readonly admin: number;
  readonly status: number;
}

export interface ShopPlan {
  /** `HOST:PORT` of the control plane. */
  readonly grpc: string;
  readonly http: string;
  readonly services: readonly ServicePlan[];
}

/** Each service has a block of ten ports: base, base + 10, ... */
const BLOCK = 10;
const OFFSETS: ServicePorts = { app: 8, outbound: 1, inbound: 6, admin: 0, status: 2 };
const PORT_NAMES = Object.keys(OFFSETS) as readonly (keyof ServicePorts)[];
const HOST = "127.0.0.1";
const FREE_PORTS = { from: 20_000, to: 32_000 } as const;

/** The highest first port that leaves room for every service's block. */
export const PORT_BASE_MAX = 65_535 - SHOP_SERVICES.length * BLOCK;

/** The plan with ports counted from `portBase`. */
export function planShop(grpc: string, http: string, portBase: number): ShopPlan {
  const services = SHOP_SERVICES.map(({ service, version }, index) => {
    const at = (offset: number): number => portBase + index * BLOCK + offset;
    const ports: ServicePorts = {
      app: at(OFFSETS.app),
      outbound: at(OFFSETS.outbound),
      inbound: at(OFFSETS.inbound),
      admin: at(OFFSETS.admin),
      status: at(OFFSETS.status),
    };
    return { service, version, name: nameOf(service, version), ports };
  });
  return { grpc, http, services };
}

/** The plan on ports that are free now. */
export async function planShopOnFreePorts(): Promise<ShopPlan> {
  const free = await freePorts(2 + SHOP_SERVICES.length * PORT_NAMES.length);
  const next = (): number => free.pop() ?? 0;
  return {
    grpc: `${HOST}:${next()}`,
    http: `${HOST}:${next()}`,
    services: SHOP_SERVICES.map(({ service, version }) => ({
      service,
      version,
      name: nameOf(service, version),
      ports: { app: next(), outbound: next(), inbound: next(), admin: next(), status: next() },
    })),
  };
}

/** Every port of the plan with what it is for and how to choose another. */
function portsOf(plan: ShopPlan): { host: string; port: number; use: string; remedy: string }[] {
  const move = "move the shop's ports with --port-base PORT";
  return [
    { ...split(plan.grpc), use: "control plane, gRPC", remedy: "choose another with --grpc HOST:PORT" },
    { ...split(plan.http), use: "control plane, HTTP", remedy: "choose another with --http HOST:PORT" },
    ...plan.services.flatMap(({ name, ports }) =>
      PORT_NAMES.map((port) => ({ host: HOST, port: ports[port], use: `${name}, ${portUse(port)}`, remedy: move })),
    ),
  ];
}

/** One line for each port of the plan that cannot be bound; empty when all are free. */
export async function findTakenPorts(plan: ShopPlan): Promise<string[]> {
  const lines = await Promise.all(
    portsOf(plan).map(async ({ host, port, use, remedy }) => {
      const code = await tryBinding(host, port);
      if (code === undefined) return undefined;
      const what = code === "EADDRINUSE" ? "is taken" : `cannot be bound (${code})`;
      return `port ${port} (${use}) ${what}: ${remedy}`;
    }),
  );
  return lines.filter((line) => line !== undefined);
}

function nameOf(service: string, version: string): string {
  return SHOP_SERVICES.filter((entry) => entry.service === service).length > 1 ? `${service}-${version}` : service;
}

function portUse(port: keyof ServicePorts): string {
  return port === "app" ? "the service itself" : `sidecar ${port}`;
}

function split(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}

function tryBinding(host: string, port: number): Promise<string | undefined> {
  return new Promise((settle) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => settle(undefined)));
  });
}

/**
 * From below the range that systems hand out by themselves (32768 on Linux, RFC 6335 says 49152): a port that is free
 * now is still free when its process starts, however many connections and programs have got theirs meanwhile.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(FREE_PORTS.from, FREE_PORTS.to);
    if (!ports.has(port) && (await tryBinding(HOST, port)) === undefined) ports.add(port);
  }
  return [...ports];
}
