// Secrets that requests carry, kept out of logs and spans: fields that are never written down, and query parameters
// whose values are replaced.

/** Never written down, whatever a document asks for. */
const SECRET_FIELDS =
  /^(authorization|proxy-authorization|cookie|set-cookie|www-authenticate|x-api-key|api-key|x-auth-token|x-csrf-token|x-amz-security-token)$|(password|passwd|secret|token|credential|session|signature|apikey)/;

/** Parameters that carry signatures and keys: those of OpenTelemetry's list (url.query), and what services use. */
const SECRET_PARAMETERS =
  /(^|&)((?:[^=&]*(?:password|passwd|secret|token|signature|credential|api[_-]?key|access[_-]?key)[^=&]*|sig|code|awsaccesskeyid)=)[^&]*/gi;

/** Looked at only where one could be: most queries have none. */
const LIKELY = /pass|secret|token|sig|cred|key|code/i;

export const REDACTED = "REDACTED";

/** @param lowerName lower-case name of a field */
export function isSecretField(lowerName: string): boolean {
  return SECRET_FIELDS.test(lowerName);
}

/** The query with values of secret parameters replaced; `query` is without its "?". */
export function safeQuery(query: string): string {
  return LIKELY.test(query) ? query.replace(SECRET_PARAMETERS, `$1$2${REDACTED}`) : query;
}

/** A request-target, path and query, with secrets replaced. */
export function safeTarget(target: string): string {
  const mark = target.indexOf("?");
  return mark < 0 ? target : `${target.slice(0, mark + 1)}${safeQuery(target.slice(mark + 1))}`;
}
