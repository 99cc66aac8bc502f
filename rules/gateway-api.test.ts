// The shapes of documents that the Gateway API's mesh conformance suite applies: each must be accepted as it is.
import { describe, expect, test } from "vitest";
import { formatDiagnostic } from "./diagnostic.ts";
import { loadDocuments } from "./load.ts";

const MESH = "shop-mesh";

function route(kind: string, parent: string, rules: string, namespace = MESH): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata:
  name: shape
  namespace: ${namespace}
spec:
  parentRefs:
  - group: ""
    kind: Service
${parent.replace(/^/gm, "    ")}
  rules:
${rules.replace(/^/gm, "  ")}
`;
}

const ON_PORT_80 = "name: echo\nport: 80";

const redirect = (path: string, fields: string): string => `- matches:
  - path:
      type: PathPrefix
      value: ${path}
  filters:
  - type: RequestRedirect
    requestRedirect:
${fields.replace(/^/gm, "      ")}`;

const SHAPES: readonly (readonly [shape: string, document: string])[] = [
  ["no matches", route("HTTPRoute", "name: echo", "- backendRefs:\n  - name: echo-v1\n    port: 8080")],
  [
    "weights",
    route(
      "HTTPRoute",
      ON_PORT_80,
      "- backendRefs:\n  - name: echo-v1\n    port: 8080\n    weight: 70\n  - name: echo-v2\n    port: 8080\n    weight: 0",
    ),
  ],
  [
    "matches by path or header, of one rule",
    route(
      "HTTPRoute",
      ON_PORT_80,
      "- matches:\n  - path:\n      type: PathPrefix\n      value: /\n  - headers:\n    - name: version\n      value: one\n  backendRefs:\n  - name: echo-v1\n    port: 8080",
    ),
  ],
  [
    "matches by path, header and query together",
    route(
      "HTTPRoute",
      ON_PORT_80,
      "- matches:\n  - path:\n      type: Exact\n      value: /path4\n    headers:\n    - name: version\n      value: three\n    queryParams:\n    - name: animal\n      value: kraken\n  backendRefs:\n  - name: echo-v1\n    port: 8080",
    ),
  ],
  [
    "a named rule beside one without a name",
    route("HTTPRoute", ON_PORT_80, "- name: named-rule\n  backendRefs:\n  - name: a\n- backendRefs:\n  - name: b"),
  ],
  ["a redirect with a status only", route("HTTPRoute", ON_PORT_80, redirect("/permanent", "statusCode: 308"))],
  [
    "a redirect with everything",
    route(
      "HTTPRoute",
      ON_PORT_80,
      redirect("/all", 'scheme: "https"\nhostname: example.org\nport: 8083\nstatusCode: 302'),
    ),
  ],
  [
    "a redirect of a prefix",
    route("HTTPRoute", ON_PORT_80, redirect("/old", "path:\n  type: ReplacePrefixMatch\n  replacePrefixMatch: /new")),
  ],
  [
    "a rewrite with header changes beside it",
    route(
      "HTTPRoute",
      ON_PORT_80,
      "- matches:\n  - path:\n      type: PathPrefix\n      value: /strip-prefix\n  filters:\n  - type: URLRewrite\n    urlRewrite:\n      path:\n        type: ReplacePrefixMatch\n        replacePrefixMatch: /\n  - type: RequestHeaderModifier\n    requestHeaderModifier:\n      set:\n      - name: X-Header-Set\n        value: set-overwrites-values\n      add:\n      - name: X-Header-Add\n        value: add-appends-values\n      remove:\n      - X-Header-Remove\n  backendRefs:\n  - name: echo-v1\n    port: 80",
    ),
  ],
  [
    "header changes of a backend",
    route(
      "HTTPRoute",
      ON_PORT_80,
      "- backendRefs:\n  - name: echo-v1\n    port: 8080\n    filters:\n    - type: RequestHeaderModifier\n      requestHeaderModifier:\n        remove:\n        - X-Header-Remove",
    ),
  ],
  [
    "a consumer's route, of another namespace than the service",
    route(
      "HTTPRoute",
      `name: echo-v1\nnamespace: ${MESH}`,
      `- filters:\n  - type: ResponseHeaderModifier\n    responseHeaderModifier:\n      set:\n      - name: X-Header-Set\n        value: set\n  backendRefs:\n  - name: echo-v1\n    namespace: ${MESH}\n    port: 80`,
      "shop-consumer",
    ),
  ],
  [
    "a GRPCRoute by header",
    route(
      "GRPCRoute",
      "name: echo\nport: 7070",
      "- matches:\n  - headers:\n    - name: x-test-case\n      value: multi\n  filters:\n  - type: RequestHeaderModifier\n    requestHeaderModifier:\n      set:\n      - name: x-header-set-1\n        value: header-set-1\n      remove:\n      - x-header-remove-1\n  backendRefs:\n  - name: echo-v2\n    port: 7070",
    ),
  ],
];

describe("accepted:", () => {
  test.each(SHAPES)("%s", (_shape, content) => {
    const { documents, diagnostics } = loadDocuments([{ name: "r.yaml", content }], { defaultNamespace: "default" });
    expect(diagnostics.map(formatDiagnostic)).toEqual([]);
    expect(documents.map(({ document }) => document.metadata.name)).toEqual(["shape"]);
  });
});

test("core Services, Deployments and Gateways of the same files are refused with a word each, the routes kept", () => {
  const foreign = ["v1 Service", "apps/v1 Deployment", "gateway.networking.k8s.io/v1 Gateway"].map((text) => {
    const [apiVersion, kind] = text.split(" ");
    return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: a }\n`;
  });
  const content = [...foreign, SHAPES[0]?.[1]].join("---\n");
  const { documents, diagnostics } = loadDocuments([{ name: "r.yaml", content }], { defaultNamespace: "default" });
  expect(documents).toHaveLength(1);
  expect(diagnostics.map(({ line, path }) => `${line} ${path}`)).toEqual(["1 apiVersion", "6 kind", "10 kind"]);
});
