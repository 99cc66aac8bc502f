// Text that came from elsewhere, made safe for a terminal; and the few colours that the CLI uses.
// Nothing here decides whether colour is on.

/** C0 and C1 controls and DEL: what could move the cursor, retitle the window or hide text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** One line of printable text: control characters are shown as `\xNN`, line breaks as spaces. */
export function printable(text: string): string {
  return text.replace(CONTROL, (character) => {
    if (character === "\n" || character === "\r" || character === "\t") return " ";
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

const CODES: Readonly<Record<Style, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Paints text, or leaves it alone where colour is off. */
export type Paint = (style: Style, text: string) => string;

export function painter(enabled: boolean): Paint {
  if (!enabled) return (_style, text) => text;
  return (style, text) => `\u001b[${CODES[style][0]}m${text}\u001b[${CODES[style][1]}m`;
}

export interface ColorFacts {
  readonly isTTY: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Colour only on a terminal that understands it, and never with NO_COLOR (no-color.org). */
export function wantsColor({ isTTY, env }: ColorFacts): boolean {
  return isTTY && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

/** `1 sidecar`, `2 sidecars`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
