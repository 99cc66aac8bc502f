// Whether everything is healthy: facts about the control plane and the fleet -> a list of checks, each with what
// it found and, where it did not like that, what to do. Pure; gathering the facts is the caller's part.
import type { DiagnosticView } from "./diagnostic.ts";
import { refusalText, type ServiceView, type SidecarView } from "./fleet.ts";

export type CheckStatus = "ok" | "warning" | "failed" | "skipped";

export interface CheckView {
  readonly group: string;
  readonly name: string;
  readonly status: CheckStatus;
  /** What was found, one line each. */
  readonly details: readonly string[];
  /** What to do about it; empty when ok. */
  readonly next: string;
}

export interface ControlPlaneFacts {
  readonly server: string;
  readonly version: string;
  readonly clientVersion: string;
  /** SERVING, NOT_SERVING, or why the health service gave no answer. */
  readonly health: string;
  readonly store: string;
  readonly data: string;
  /** Why its last write failed, and when; "" and 0: it went well. */
  readonly storeFailure: string;
  readonly storeFailedAtMs: number;
  readonly revision: number;
}

export interface FleetFacts {
  readonly controlPlane: ControlPlaneFacts;
  readonly sidecars: readonly SidecarView[];
  readonly services: readonly ServiceView[];
  readonly documents: number;
  /** Warnings and errors that the stored documents give when checked again. */
  readonly findings: readonly DiagnosticView[];
}

const CONTROL_PLANE_GROUP = "control plane";

/** Details listed per check; the rest is counted. */
const DETAILS_MAX = 20;

/** Runs every check on the facts. */
export function checkFleet(facts: FleetFacts): CheckView[] {
  return [
    ...checkControlPlane(facts.controlPlane),
    ...checkSidecars(facts),
    ...checkServices(facts),
    checkRules(facts),
  ];
}

/** The checks of a control plane that does not answer. */
export function checkUnreachable(server: string, why: string): CheckView[] {
  const reachable: CheckView = {
    group: CONTROL_PLANE_GROUP,
    name: `reachable at ${server}`,
    status: "failed",
    details: [why],
    next: "start it with weft-control-plane, or name another with --server HOST:PORT or WEFT_SERVER",
  };
  const skipped = ["sidecars", "services", "rules"].map((group) => ({
    group,
    name: "not checked",
    status: "skipped" as const,
    details: [],
    next: "",
  }));
  return [reachable, ...skipped];
}

function checkControlPlane(facts: ControlPlaneFacts): CheckView[] {
  const isServing = facts.health === "SERVING";
  const isSameVersion = facts.version === facts.clientVersion;
  return [
    ok(CONTROL_PLANE_GROUP, `reachable at ${facts.server}`),
    finding(CONTROL_PLANE_GROUP, "health", isServing ? [] : [`it reports ${facts.health}`], {
      next: "look at the control plane's log (stderr) and at /healthz/ready on its HTTP port",
    }),
    checkStore(facts),
    finding(
      CONTROL_PLANE_GROUP,
      "version",
      isSameVersion ? [] : [`the control plane is ${facts.version}, this CLI ${facts.clientVersion}`],
      { status: "warning", next: "install the same version of both" },
    ),
  ];
}

function checkStore({ store, data, storeFailure, storeFailedAtMs }: ControlPlaneFacts): CheckView {
  if (store === "")
    return finding(CONTROL_PLANE_GROUP, "store", ["it names no store"], { next: "restart it with --store sqlite" });
  const failedAt = new Date(storeFailedAtMs).toISOString();
  const details = storeFailure === "" ? [] : [`its last write failed, at ${failedAt}: ${storeFailure}`];
  return finding(CONTROL_PLANE_GROUP, `store ${store}`, details, {
    next: `no rule can be changed until writes succeed, and releases can be paused and aborted but go no further: see to the disk of ${data}`,
  });
}

function checkSidecars({ sidecars, controlPlane }: FleetFacts): CheckView[] {
  const group = "sidecars";
  if (sidecars.length === 0) {
    return [
      finding(group, "connected", ["no sidecar is connected"], {
        status: "warning",
        next: "start one with: weft-sidecar --service NAME --app HOST:PORT --control-plane HOST:PORT",
      }),
    ];
  }
  const inState = (state: string): SidecarView[] => sidecars.filter((sidecar) => sidecar.state === state);
  const name = (sidecar: SidecarView): string => `${sidecar.namespace}/${sidecar.service} ${sidecar.id}`;
  return [
    finding(
      group,
      "connected",
      inState("disconnected").map((sidecar) => `${name(sidecar)} is disconnected`),
      {
        next: "see whether the sidecar still runs; its lease ends soon, then it is forgotten",
      },
    ),
    finding(
      group,
      "rules accepted",
      inState("refused").map((sidecar) => `${name(sidecar)} refused ${refusalOf(sidecar)}`),
      { next: "correct the rules and apply again, or go back with: weft rollback --to REVISION" },
    ),
    finding(
      group,
      `synced with revision ${controlPlane.revision}`,
      inState("pending").map((sidecar) => `${name(sidecar)} still acts on revision ${sidecar.revision}`),
      { next: "try again in a moment; if it stays so, look at the sidecar's log (stderr)" },
    ),
    finding(
      group,
      "version",
      sidecars
        .filter((sidecar) => sidecar.programVersion !== controlPlane.version)
        .map((sidecar) => `${name(sidecar)} is ${sidecar.programVersion}, the control plane ${controlPlane.version}`),
      { status: "warning", next: "restart these sidecars with the control plane's version" },
    ),
  ];
}

function refusalOf(sidecar: SidecarView): string {
  if (sidecar.refusal === undefined) return "a revision";
  return `revision ${sidecar.refusal.revision}: ${refusalText(sidecar.refusal)}`;
}

function checkServices({ services, sidecars }: FleetFacts): CheckView[] {
  const clients = clientsOnly(sidecars);
  const isClient = ({ implied, documents, namespace, name }: ServiceView): boolean =>
    implied && documents.length === 0 && clients.has(`${namespace}/${name}`);
  const bare = services.filter((service) => service.readyEndpoints === 0 && !isClient(service));
  const details = bare.map((service) => {
    const what = service.endpoints === 0 ? "no endpoint" : `no ready endpoint (0 of ${service.endpoints})`;
    return `${service.namespace}/${service.name} has ${what}`;
  });
  return [
    finding("services", "endpoints", details, {
      next: "start a sidecar for the service, or correct its selector or endpoints; see: weft describe service NAME",
    }),
  ];
}

/** Services, whole and by version, whose every sidecar is there for outbound calls only: nobody means to call them. */
function clientsOnly(sidecars: readonly SidecarView[]): Set<string> {
  const namesOf = ({ namespace, service, version }: SidecarView): string[] => [
    `${namespace}/${service}`,
    `${namespace}/${service}-${version}`,
  ];
  const callable = new Set(sidecars.filter(({ address }) => address !== "").flatMap(namesOf));
  return new Set(sidecars.flatMap(namesOf).filter((name) => !callable.has(name)));
}

function checkRules({ findings, documents }: FleetFacts): CheckView {
  const details = findings.map(({ document, path, message }) => {
    const title = document === undefined ? "" : `${document.kind} ${document.namespace}/${document.name} `;
    return `${title}${path}: ${message}`;
  });
  const hasErrors = findings.some((diagnostic) => diagnostic.severity === "error");
  const name = `${documents} stored document${documents === 1 ? "" : "s"}`;
  return finding("rules", name, details, {
    status: hasErrors ? "failed" : "warning",
    next: "correct the documents and apply them again; see: weft get -A -o yaml",
  });
}

function ok(group: string, name: string): CheckView {
  return { group, name, status: "ok", details: [], next: "" };
}

/** Ok without details, else failed (or what `status` says) with them and the advice. */
function finding(
  group: string,
  name: string,
  details: readonly string[],
  bad: { readonly status?: CheckStatus; readonly next: string },
): CheckView {
  if (details.length === 0) return ok(group, name);
  const hidden = details.length - DETAILS_MAX;
  const shown = hidden > 0 ? [...details.slice(0, DETAILS_MAX), `and ${hidden} more`] : details;
  return { group, name, status: bad.status ?? "failed", details: shown, next: bad.next };
}
