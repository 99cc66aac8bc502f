// Routes of the shapes that the Gateway API's mesh conformance profile exercises, for the services of mesh.test.ts.
// Written for Weft, not that project's files. Says nothing of what is expected of them.

export const NAMESPACE = "parts";
/** Where the callers of consumer routes live. */
export const CONSUMERS = "buyers";

/** A route for `catalog` on port 80 with these rules, given as YAML flow or block items. */
function route(rules: string, parent = "name: catalog, port: 80", name = "under-test", namespace = NAMESPACE): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  parentRefs: [{ group: "", kind: Service, ${parent} }]
  rules:
${rules}---
`;
}

/** Rules that answer a prefix with a redirect of these fields. */
function redirects(fields: Readonly<Record<string, string>>): string {
  const rules = Object.entries(fields).map(
    ([prefix, redirect]) => `    - matches: [{ path: { type: PathPrefix, value: ${prefix} } }]
      filters: [{ type: RequestRedirect, requestRedirect: { ${redirect} } }]
`,
  );
  return route(rules.join(""));
}

/** Where header modifiers may stand. */
export type ModifierPlace = "rule" | "backend";

const MODIFIERS = {
  "/replace": "set: [{ name: X-Colour, value: red }]",
  "/append": "add: [{ name: X-Trail, value: second }]",
  "/strip": "remove: [X-Secret]",
  "/all":
    "set: [{ name: X-One, value: one }, { name: X-Two, value: two }], " +
    "add: [{ name: X-Three, value: three }, { name: X-Four, value: four }, { name: X-Five, value: five }], " +
    "remove: [X-Six, X-Seven]",
  "/any-case": "set: [{ name: X-Colour, value: red }], add: [{ name: X-Trail, value: second }], remove: [X-Secret]",
} as const;

/** Request header modifiers, on the rule or on its one backend. */
export function modifiers(place: ModifierPlace): string {
  const rules = Object.entries(MODIFIERS).map(([prefix, fields]) => {
    const filters = `filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { ${fields} } }]`;
    const onRule = place === "rule" ? `      ${filters}\n` : "";
    const onBackend = place === "rule" ? "" : `, ${filters}`;
    return `    - matches: [{ path: { type: PathPrefix, value: ${prefix} } }]
${onRule}      backendRefs: [{ name: catalog-v1, port: 8080${onBackend} }]
`;
  });
  return route(rules.join(""));
}

const MARK = (value: string): string =>
  `filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: X-Mark, value: ${value} }] } }]`;

const HEADERS_TOO = `{ type: RequestHeaderModifier, requestHeaderModifier: {
            set: [{ name: X-Colour, value: red }], remove: [X-Secret],
            add: [{ name: X-New, value: first }, { name: X-Trail, value: second }] } }`;

function rewrite(prefix: string, path: string, more = ""): string {
  return `    - matches: [{ path: { type: PathPrefix, value: ${prefix} } }]
      filters:
        - { type: URLRewrite, urlRewrite: { path: { ${path} } } }
${more === "" ? "" : `        - ${more}\n`}      backendRefs: [{ name: catalog-v1, port: 80 }]
`;
}

export const RULES = {
  nothing: "",
  oneBackend: route("    - backendRefs: [{ name: catalog-v1, port: 8080 }]\n"),
  matching: route(`    - matches:
        - path: { type: PathPrefix, value: / }
        - headers: [{ name: edition, value: first }]
      backendRefs: [{ name: catalog-v1, port: 8080 }]
    - matches:
        - path: { type: PathPrefix, value: /second }
        - headers: [{ name: edition, value: second }]
      backendRefs: [{ name: catalog-v2, port: 8080 }]
`),
  named: route(`    - name: with-a-name
      matches: [{ path: { type: PathPrefix, value: /with } }]
      backendRefs: [{ name: catalog-v1, port: 8080 }]
    - matches: [{ path: { type: PathPrefix, value: /without } }]
      backendRefs: [{ name: catalog-v2, port: 8080 }]
`),
  query: route(`    - matches: [{ queryParams: [{ name: metal, value: iron }] }]
      backendRefs: [{ name: catalog-v1, port: 8080 }]
    - matches: [{ queryParams: [{ name: metal, value: tin }] }]
      backendRefs: [{ name: catalog-v2, port: 8080 }]
    - matches: [{ path: { type: PathPrefix, value: /one }, queryParams: [{ name: metal, value: iron }] }]
      backendRefs: [{ name: catalog-v1, port: 8080 }]
    - matches: [{ headers: [{ name: edition, value: first }], queryParams: [{ name: metal, value: iron }] }]
      backendRefs: [{ name: catalog-v2, port: 8080 }]
    - matches:
        - { path: { type: PathPrefix, value: /three }, queryParams: [{ name: metal, value: zinc }] }
        - path: { type: PathPrefix, value: /four }
          headers: [{ name: edition, value: third }]
          queryParams: [{ name: metal, value: lead }]
      backendRefs: [{ name: catalog-v1, port: 8080 }]
    - matches: [{ path: { type: PathPrefix, value: /five } }]
      backendRefs: [{ name: catalog-v1, port: 8080 }]
    - matches: [{ queryParams: [{ name: metal, value: gold }] }]
      backendRefs: [{ name: catalog-v2, port: 8080 }]
`),
  redirectStatus: redirects({ "/see": "statusCode: 303", "/keep": "statusCode: 307", "/moved": "statusCode: 308" }),
  redirectHost: redirects({ "/host": "hostname: example.net", "/host-301": "hostname: example.net, statusCode: 301" }),
  redirectPath: redirects({
    "/old": "path: { type: ReplacePrefixMatch, replacePrefixMatch: /new }",
    "/whole": "path: { type: ReplaceFullPath, replaceFullPath: /another }",
    "/path-and-host": "hostname: example.net, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new }",
    "/path-and-status": "statusCode: 301, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new }",
    "/whole-and-host": "hostname: example.net, path: { type: ReplaceFullPath, replaceFullPath: /another }",
    "/whole-and-status": "statusCode: 301, path: { type: ReplaceFullPath, replaceFullPath: /another }",
  }),
  redirectPort: redirects({
    "/port": "port: 9999",
    "/port-host": "port: 9999, hostname: example.net",
    "/port-status": "port: 9999, statusCode: 301",
    "/port-all": "port: 9999, hostname: example.net, statusCode: 302",
  }),
  redirectScheme: redirects({
    "/tls": "scheme: https",
    "/tls-host": "scheme: https, hostname: example.net",
    "/tls-status": "scheme: https, statusCode: 301",
    "/tls-all": "scheme: https, hostname: example.net, statusCode: 302",
  }),
  rewrite: route(
    rewrite("/long/one", "type: ReplacePrefixMatch, replacePrefixMatch: /one") +
      rewrite("/cut", "type: ReplacePrefixMatch, replacePrefixMatch: /") +
      rewrite("/whole/one", "type: ReplaceFullPath, replaceFullPath: /one") +
      rewrite("/whole/with-headers", "type: ReplaceFullPath, replaceFullPath: /another", HEADERS_TOO) +
      rewrite("/long/with-headers", "type: ReplacePrefixMatch, replacePrefixMatch: /short", HEADERS_TOO),
  ),
  weights: route(
    "    - backendRefs: [{ name: catalog-v1, port: 8080, weight: 70 }, { name: catalog-v2, port: 8080, weight: 30 }, { name: catalog-v3, port: 8080, weight: 0 }]\n",
  ),
  split: route(
    `    - matches: [{ path: { type: Exact, value: /v1 } }]
      backendRefs: [{ name: catalog-v1, port: 80 }]
    - matches: [{ path: { type: Exact, value: /v2 } }]
      backendRefs: [{ name: catalog-v2, port: 80 }]
`,
    "name: catalog",
  ),
  ports:
    route(
      `    - { ${MARK("first")}, backendRefs: [{ name: catalog-v1, port: 80 }] }\n`,
      "name: catalog-v1, port: 80",
      "one-port",
    ) +
    route(
      `    - { ${MARK("second")}, backendRefs: [{ name: catalog-v2, port: 80 }] }\n`,
      "name: catalog-v2",
      "all-ports",
    ),
  frontend: route(`    - { ${MARK("set")}, backendRefs: [{ name: catalog-v2, port: 80 }] }\n`, "name: catalog-v2"),
  consumer: route(
    `    - { ${MARK("set")}, backendRefs: [{ name: catalog-v1, namespace: ${NAMESPACE}, port: 80 }] }\n`,
    `name: catalog-v1, namespace: ${NAMESPACE}`,
    "for-consumers",
    CONSUMERS,
  ),
} as const;

/** Service documents for what the sidecars imply, with the ports that such services have in Kubernetes. */
export const SERVICES = ["", "-v1", "-v2", "-v3"]
  .map(
    (suffix) => `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: catalog${suffix}, namespace: ${NAMESPACE} }
spec:
  selector: { service: catalog${suffix === "" ? "" : `, version: ${suffix.slice(1)}`} }
  ports: [{ port: 80 }, { port: 8080 }, { port: 7070, protocol: grpc }]
---
`,
  )
  .join("");
