// What a sidecar may say about itself: shapes and sizes of a Hello, checked before anything is kept of it.
import type { Hello, Workload } from "../../proto/gen/weft/v1/discovery.ts";
import { parseHostPort } from "../../runtime/address.ts";
import * as limits from "../limits.ts";

/** Names of services and namespaces: DNS labels (RFC 1123), as in Kubernetes. */
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const VERSION = /^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$/;
/** Printable ASCII without spaces: ids end up in logs, metrics and tables. */
const PRINTABLE = /^[\x21-\x7e]+$/;

/** Returns what is wrong with the Hello, or undefined when it can be registered. */
export function checkHello(hello: Hello): string | undefined {
  const { workload, incarnation, held, subscriptions, programVersion } = hello;
  if (workload === undefined) return "hello.workload is missing";
  if (incarnation.length > limits.INCARNATION_CHARACTERS_MAX) return "hello.incarnation is too long";
  if (programVersion.length > limits.PROGRAM_VERSION_CHARACTERS_MAX) return "hello.program_version is too long";
  return checkWorkload(workload) ?? checkHeld(held) ?? checkSubscriptions(subscriptions);
}

/** Returns what is wrong with a set of subscriptions, or undefined. Names of no service are fine: they are answered. */
export function checkSubscriptions(subscriptions: readonly string[]): string | undefined {
  if (subscriptions.length > limits.SUBSCRIPTIONS_MAX)
    return `more than ${limits.SUBSCRIPTIONS_MAX} subscriptions (${subscriptions.length})`;
  const long = subscriptions.find((name) => name.length > limits.SUBSCRIPTION_CHARACTERS_MAX);
  return long === undefined
    ? undefined
    : `a subscription is longer than ${limits.SUBSCRIPTION_CHARACTERS_MAX} characters`;
}

function checkWorkload(workload: Workload): string | undefined {
  const { id, service, namespace, version, address, zone } = workload;
  if (id.length > limits.WORKLOAD_ID_CHARACTERS_MAX || !PRINTABLE.test(id))
    return `workload.id must be 1 to ${limits.WORKLOAD_ID_CHARACTERS_MAX} printable ASCII characters`;
  if (!isDnsLabel(service)) return `workload.service ${quote(service)} is not a DNS label`;
  if (!isDnsLabel(namespace)) return `workload.namespace ${quote(namespace)} is not a DNS label`;
  if (version !== "" && (version.length > limits.NAME_CHARACTERS_MAX || !VERSION.test(version)))
    return `workload.version ${quote(version)} must be at most ${limits.NAME_CHARACTERS_MAX} letters, digits, ".", "-" and "_"`;
  if (address !== "" && !isReachable(address)) return `workload.address ${quote(address)} is not HOST:PORT`;
  if (zone.length > limits.NAME_CHARACTERS_MAX) return "workload.zone is too long";
  return checkLabels(workload.labels);
}

function checkLabels(labels: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(labels);
  if (entries.length > limits.LABELS_MAX) return `workload.labels has more than ${limits.LABELS_MAX} entries`;
  for (const [key, value] of entries) {
    if (key === "" || key.length > limits.LABEL_KEY_CHARACTERS_MAX) return `workload.labels: bad key ${quote(key)}`;
    if (value.length > limits.LABEL_VALUE_CHARACTERS_MAX)
      return `workload.labels: the value of ${quote(key)} is too long`;
  }
  return undefined;
}

function checkHeld(held: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(held);
  if (entries.length > limits.HELD_RESOURCES_MAX)
    return `hello.held has more than ${limits.HELD_RESOURCES_MAX} entries`;
  const isBad = ([name, version]: [string, string]) =>
    name.length > limits.HELD_NAME_CHARACTERS_MAX || version.length > limits.HELD_VERSION_CHARACTERS_MAX;
  return entries.some(isBad) ? "hello.held has a name or version that is too long" : undefined;
}

function isDnsLabel(text: string): boolean {
  return text.length <= limits.NAME_CHARACTERS_MAX && DNS_LABEL.test(text);
}

function isReachable(address: string): boolean {
  if (address.length > limits.ADDRESS_CHARACTERS_MAX) return false;
  const parsed = parseHostPort(address);
  return parsed !== undefined && parsed.port > 0 && PRINTABLE.test(parsed.host);
}

/** At most 80 characters of what was sent, for a message. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
