// The end of every command: its value on stdout in the format that was asked for. With json and yaml that value
// is everything stdout gets; with table and wide the command's own lines are.
import type { Invocation } from "./command.ts";
import { type Paint, painter, wantsColor } from "./print/text.ts";
import type { Output, Shell } from "./shell.ts";

/** Writes `value` as JSON or YAML, or the lines that `lines` makes of it for people. */
export async function emit(
  invocation: Pick<Invocation, "output" | "color" | "shell">,
  value: unknown,
  lines: (paint: Paint) => readonly string[],
): Promise<void> {
  const { output, shell } = invocation;
  if (output === "json") {
    shell.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    return;
  }
  if (output === "yaml") {
    const { yamlText } = await import("./print/yaml.ts");
    shell.stdout.write(yamlText(value));
    return;
  }
  writeLines(shell.stdout, lines(painter(invocation.color)));
}

export function writeLines(output: Output, lines: readonly string[]): void {
  if (lines.length > 0) output.write(`${lines.join("\n")}\n`);
}

/** True when stdout is for people, so that remarks may be made. */
export function isForPeople(invocation: Pick<Invocation, "output">): boolean {
  return invocation.output === "table" || invocation.output === "wide";
}

export function stderrPaint(shell: Shell): Paint {
  return painter(wantsColor({ isTTY: shell.stderr.isTTY, env: shell.env }));
}
