// Reads test/wire/*.md: each "## " section is a case with a `request` or `response` block (the bytes), a `log` block
// (what the decoder says) and perhaps a `forwarded` block (what the next hop gets).
//
// In blocks of bytes a line break means nothing; \r \n \t \0 \\ and \xHH are written out, and {N*text} repeats.

export interface WireCase {
  readonly title: string;
  readonly line: number;
  readonly kind: "request" | "response";
  /** Words after the kind: `HEAD`, `upgrade`, `data`. */
  readonly options: readonly string[];
  readonly bytes: Uint8Array;
  readonly log: string | undefined;
  readonly forwarded: string | undefined;
}

export function readWireDocument(content: string): WireCase[] {
  const cases: WireCase[] = [];
  let title = "";
  let titleLine = 0;
  let blocks = new Map<string, string>();
  let open: { header: string; lines: string[] } | undefined;
  const flush = (): void => {
    const found = [...blocks.keys()].find((header) => /^(request|response)\b/.test(header));
    if (found !== undefined) cases.push(makeCase(title, titleLine, found, blocks));
    else if (blocks.size > 0) throw new Error(`line ${titleLine}: "${title}" has no message`);
    blocks = new Map();
  };
  content.split("\n").forEach((line, index) => {
    if (open !== undefined) {
      if (line === "```") {
        if (blocks.has(open.header)) throw new Error(`line ${index + 1}: a second \`${open.header}\` in "${title}"`);
        blocks.set(open.header, open.lines.join("\n"));
        open = undefined;
      } else open.lines.push(line);
    } else if (line.startsWith("```")) open = { header: line.slice(3), lines: [] };
    else if (line.startsWith("## ")) {
      flush();
      title = line.slice(3);
      titleLine = index + 1;
    }
  });
  if (open !== undefined) throw new Error(`"${title}": a block is not closed`);
  flush();
  return cases;
}

function makeCase(title: string, line: number, header: string, blocks: Map<string, string>): WireCase {
  const [kind, ...options] = header.split(" ");
  return {
    title,
    line,
    kind: kind === "request" ? "request" : "response",
    options,
    bytes: unescapeBytes(blocks.get(header) ?? ""),
    log: blocks.get("log"),
    forwarded: blocks.get("forwarded"),
  };
}

/** The `Upgrade` of the request that a response answers; "": it asked for no other protocol. */
export function askedProtocols({ options }: WireCase): string {
  const option = options.find((word) => word === "upgrade" || word.startsWith("upgrade:")) ?? "";
  return option === "upgrade" ? "websocket" : option.slice("upgrade:".length);
}

/** The bytes that a block stands for. */
function unescapeBytes(block: string): Uint8Array {
  const joined = block.replaceAll("\n", "");
  const repeated = joined.replace(/\{(\d+)\*([^}]+)\}/g, (_, count: string, text: string) =>
    text.repeat(Number(count)),
  );
  const text = repeated.replace(/\\(x[0-9a-fA-F]{2}|[rnt0\\])/g, (_, code: string) => {
    if (code.startsWith("x")) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return { r: "\r", n: "\n", t: "\t", "0": "\0", "\\": "\\" }[code] ?? "";
  });
  return Buffer.from(text, "latin1");
}

/** The reverse, with a line break after every LF. */
export function escapeBytes(latin1: string): string {
  const escaped = latin1.replace(/[\\\r\n\t\0]|[^\x20-\x7e]/g, (character) => {
    const named = { "\\": "\\\\", "\r": "\\r", "\n": "\\n", "\t": "\\t", "\0": "\\0" }[character];
    return named ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return escaped.replaceAll("\\r\\n", "\\r\\n\n").replace(/\n$/, "");
}
