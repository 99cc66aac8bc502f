// weft explain: which route and rule a request would take, how it is split, which policies act, and why not others.
import { METHODS } from "node:http";
import { findKind } from "../../../rules/kinds.ts";
import { hasErrors } from "../../view/diagnostic.ts";
import { explainView } from "../../view/explain.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit, stderrPaint } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode, usageFailure } from "../failure.ts";
import { hintForExplain } from "../hints.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { writeDiagnostics } from "../print/diagnostics.ts";
import { explainLines } from "../print/explain.ts";
import { readSources } from "../sources.ts";

export async function explain(invocation: Invocation): Promise<ExitCode> {
  const { args, flags, shell } = invocation;
  const trace = flags.text("trace");
  if (trace !== undefined) return (await import("./explain-trace.ts")).explainTrace(invocation, trace);
  if (flags.has("sidecar")) throw usageFailure("--sidecar goes with --trace");
  for (const [index, name] of ["method", "url"].entries())
    if (args[index] === undefined)
      throw usageFailure(`missing required argument '${name}'`, ...hintOf(args), "see: weft explain --help");
  const request = { method: methodOf(args), url: urlOf(args[1] ?? ""), from: flags.text("from") ?? "" };
  const headers = flags.texts("header").map(headerOf);
  const paths = flags.texts("filename");
  const sources = paths.length === 0 ? [] : await readSources(paths, { recursive: false, shell });
  const response = await withConnection(invocation, async (connection) => {
    const fleet = await connection.fleet();
    const namespace = invocation.namespace ?? NAMESPACE_DEFAULT;
    return connection.call(fleet, fleet.explain, { ...request, headers, namespace, sources });
  });
  const view = explainView(request, response);
  if (hasErrors(view.diagnostics)) {
    throw new CliFailure("invalid-rules", "the documents have errors", { diagnostics: view.diagnostics });
  }
  writeDiagnostics(view.diagnostics, shell.stderr, stderrPaint(shell));
  await emit(invocation, view, (paint) => explainLines(view, paint));
  return EXIT.done;
}

/** Methods are case-sensitive (RFC 9110 section 9.1); `get` is what a person types when GET is meant. */
function methodOf(args: readonly string[]): string {
  const [text = ""] = args;
  const upper = text.toUpperCase();
  if (METHODS.includes(upper)) return upper;
  if (/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(text)) return text;
  throw usageFailure(`"${text}" is no request method; expected one such as GET`, ...hintOf(args));
}

function hintOf(args: readonly string[]): string[] {
  return hintForExplain(args, (word) => findKind(word) !== undefined);
}

function urlOf(text: string): string {
  const isComplete = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || text.startsWith("/");
  const url = isComplete ? text : `http://${text}`;
  if (!URL.canParse(url, "http://localhost")) {
    throw usageFailure(`"${text}" is no URL; expected http://SERVICE/PATH, SERVICE/PATH or /PATH`);
  }
  return url;
}

function headerOf(text: string): { name: string; value: string } {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(0, colon)).trim();
  if (name === "") throw usageFailure(`-H "${text}": expected 'name: value'`);
  return { name, value: text.slice(colon + 1).trim() };
}
