// Request filters of a rule and of its backend, put into the edits of the head: header modifiers, host and path. The
// backend's come after the rule's and win.
import type { MeshResource, RouteMatch } from "../../rules/resource.ts";
import { rewritePath } from "../../rules/routing/rewrite.ts";
import type { Prepared } from "../../runtime/turn-writer.ts";
import { RequestDecoder } from "../http1/decoder.ts";
import { encodeRequestHead, goesOnAsKnown } from "../http1/encoder.ts";
import { FIELD, HOP_BY_HOP } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import { HeadEdits } from "../http1/head-edits.ts";
import type { SplitId } from "../http1/known-head.ts";
import { Http2Head } from "../http2/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { TraceScope } from "../observe/tracing/trace-scope.ts";
import type { FilterPlan } from "../route/rule-plan.ts";
import type { Downstream } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";
import { applyModifiers, type HopLines } from "./forwarding.ts";
import { replacedKinds } from "./hop-fields.ts";
import { editHead } from "./http2-edits.ts";
import { readRequest } from "./http2-fields.ts";
import { HTTP1_KINDS } from "./http2-heads.ts";
import { type KnownFields, knownFieldsOf } from "./known-fields.ts";
import { type KnownText, knownTextOf, REQUEST_ID_MARK } from "./known-text.ts";

/** Used within one call at a time. */
const edits = new HeadEdits();
/** Of `fieldsOf`. */
const fields = new Http2Head();

const NO_ID: SplitId = { stem: "", rest: "" };

/** The heads that one exchange after the other sends on; what repeats is made once. */
export class ForwardedHeads {
  readonly #client: Downstream;
  readonly #path: DataPath;
  readonly #record: ExchangeRecord;
  #lines: HopLines | undefined = undefined;

  constructor(client: Downstream, path: DataPath, record: ExchangeRecord) {
    this.#client = client;
    this.#record = record;
    this.#path = path;
  }

  /** Of a request, before its head is made: gives it an id where it has none. */
  begin(settings: MeshResource["headers"], head: MessageHead): void {
    if (this.#record.hasOwnId || !this.#linesFor(settings, head).needsRequestId(head)) return;
    this.#record.hasOwnId = true;
    this.#path.requestIds.draw(this.#record.ownId);
  }

  /** Can the head go on in fields, to an endpoint that speaks HTTP/2? Otherwise only the text will do. */
  hasFields(head: MessageHead, destination: Destination): boolean {
    return destination.isHttp2 && !head.upgrade && !head.isConnect;
  }

  /** Can the head go on as one that was sent before (`preparedHead`), so that it need not be made as text? */
  isKnown(head: MessageHead, destination: Destination): boolean {
    return this.#isPlain(destination) && goesOnAsKnown(head);
  }

  /** What is changed in a head for this destination is the same for all that are alike. */
  #isPlain({ ruleFilters, backendFilters, isGrpc }: Destination): boolean {
    return ruleFilters.isEmpty && backendFilters.isEmpty && !isGrpc && this.#record.trace.source === undefined;
  }

  /**
   * What `textOf` says with what an attempt adds and the empty line, as octets.
   * @returns undefined where there are none yet
   */
  preparedHead(
    settings: MeshResource["headers"],
    head: MessageHead,
    destination: Destination,
    attemptLines: string,
  ): Prepared | undefined {
    const { knownLine, fields } = head;
    if (knownLine === undefined || fields.section === undefined) return undefined;
    const lines = this.#linesFor(settings, head).of(head, destination.hopFields === "all");
    const dropped = fields.present & (HOP_BY_HOP | replacedKinds(destination.hopFields));
    const id = this.#record.hasOwnId ? this.#record.ownId : NO_ID;
    return knownLine.heads.find(knownLine.text, fields.section, dropped, lines, id, attemptLines);
  }

  /** As text that is written at once. */
  #requestId(): string {
    const record = this.#record;
    if (record.hasOwnId) record.requestId = this.#path.requestIds.textOf(record.ownId);
    return record.requestId;
  }

  /** What `textOf` says, in fields: valid until the next call for any exchange. The same for all attempts of a request. */
  fieldsOf(settings: MeshResource["headers"], head: MessageHead, destination: Destination): Http2Head {
    const source = this.#client.http2Head;
    if (source === undefined) return this.#readFields(settings, head, destination);
    this.#edit(settings, head, destination);
    editHead(source, edits, fields);
    return fields;
  }

  #readFields(settings: MeshResource["headers"], head: MessageHead, destination: Destination): Http2Head {
    const { knownLine } = head;
    const { section, present } = head.fields;
    let known: KnownFields | undefined;
    if (knownLine !== undefined && section !== undefined && this.isKnown(head, destination)) {
      const lines = this.#linesFor(settings, head).of(head, destination.hopFields === "all");
      const { hasOwnId } = this.#record;
      const dropped = present & replacedKinds(destination.hopFields);
      const memo = knownFieldsOf(section);
      if (memo.comeAgain(dropped, lines, hasOwnId)) {
        const kept = memo.with(knownLine, head.authority, this.#requestId());
        if (kept !== undefined) return kept;
        known = memo;
      }
    }
    this.#edit(settings, head, destination);
    readRequest(head, edits, fields);
    known?.keep(fields);
    return fields;
  }

  /**
   * The head for the next hop, with the fields of the hop put in and the filters of `destination` applied; without the
   * empty line at its end, because each attempt adds lines of its own.
   */
  textOf(settings: MeshResource["headers"], head: MessageHead, destination: Destination): string {
    const source = this.#client.http2Head;
    const { sourceKinds } = head.fields;
    let known: KnownText | undefined;
    if (source?.block !== undefined && sourceKinds !== undefined && this.#isPlain(destination)) {
      const lines = this.#linesFor(settings, head).of(head, destination.hopFields === "all");
      const memo = knownTextOf(sourceKinds);
      if (memo.comeAgain(head.framing, replacedKinds(destination.hopFields), lines, this.#record.hasOwnId)) {
        const text = memo.with(source, this.#requestId());
        if (text !== "") return text;
        known = memo;
      }
    }
    this.#edit(settings, head, destination);
    if (source?.block !== undefined)
      known?.keep(source, source.block.values, (marked) => textOfMarked(marked, head.framing));
    return encodeRequestHead(head, edits);
  }

  #linesFor(settings: MeshResource["headers"], head: MessageHead): HopLines {
    const lines = this.#path.hopLines.of(settings, this.#client.remoteAddress, head.authority, this.#lines);
    if (lines !== this.#lines) this.#lines = lines;
    return lines;
  }

  /** What is to change in the head of a request. */
  #edit(settings: MeshResource["headers"], head: MessageHead, destination: Destination): void {
    edits.clear();
    edits.isOpen = true;
    edits.upgrade = head.upgrade;
    edits.dropKinds = replacedKinds(destination.hopFields);
    // What is left of it is said anew by each attempt. One that is no time is for the service to judge.
    const saysTime = destination.hopFields !== "none" && destination.requestTimeoutMs > 0;
    if (destination.isGrpc && saysTime && head.value("grpc-timeout") !== undefined) edits.remove("grpc-timeout");
    edits.append = this.#linesFor(settings, head).of(head, destination.hopFields === "all");
    if (this.#record.hasOwnId) edits.requestId = this.#requestId();
    if (this.#record.trace.source !== undefined) dropTrace(edits, head, this.#record.trace);
    applyFilters(edits, head, destination.ruleFilters, destination.match);
    applyFilters(edits, head, destination.backendFilters, destination.match);
  }
}

/** What becomes of a head with marks for its values (KnownText) by the same edits. */
function textOfMarked(marked: Http2Head, framing: MessageHead["framing"]): string {
  const decoder = new RequestDecoder();
  if (!decoder.takeHead(marked, HTTP1_KINDS, framing !== "chunked")) return "";
  const { requestId } = edits;
  if (requestId !== "") edits.requestId = REQUEST_ID_MARK;
  const text = encodeRequestHead(decoder.head, edits);
  edits.requestId = requestId;
  return text;
}

/** Each attempt says which span it is, instead of what came. Formats that are not spoken here go through. */
function dropTrace(edits: HeadEdits, head: MessageHead, trace: TraceScope): void {
  for (const name of trace.source?.fields ?? []) {
    if (name !== "traceparent") edits.remove(name);
    else {
      edits.dropKinds |= 1 << FIELD.traceparent;
      // The state of another trace, or of none (W3C Trace Context section 3.3).
      if (trace.incoming.traceState === "" && head.has(FIELD.tracestate)) edits.dropKinds |= 1 << FIELD.tracestate;
    }
  }
}

function applyFilters(edits: HeadEdits, head: MessageHead, filters: FilterPlan, match: RouteMatch | undefined): void {
  if (filters.isEmpty) return;
  applyModifiers(edits, filters.requestHeaders);
  if (filters.rewriteHost !== "") edits.host = filters.rewriteHost;
  if (filters.rewritePath === undefined || match === undefined || head.isConnect) return;
  const path = rewritePath(match, filters.rewritePath, head.path);
  edits.target = head.query === "" ? path : `${path}?${head.query}`;
}
