// Options of the programs for developers that take nothing but numbers.
import { parseArgs } from "node:util";

/**
 * Reads the command line, or ends the process: with 0 after `--help`, with 2 where it is not understood.
 * @param usage the first line of what --help prints
 * @param options what each is for and its default (undefined: none); numbers above 0
 */
export function numberOptions<Name extends string>(
  usage: string,
  options: Readonly<Record<Name, readonly [what: string, byDefault: number | undefined]>>,
): Record<Name, number | undefined> {
  const known = Object.entries<readonly [string, number | undefined]>(options);
  const lines = known.map(([name, [what, byDefault]]) => {
    const text = byDefault === undefined ? what : `${what} (default ${byDefault})`;
    return `  --${`${name} N`.padEnd(12)} ${text}`;
  });
  const help = [`usage: ${usage}`, "", ...lines].join("\n");
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        ...Object.fromEntries(known.map(([name]) => [name, { type: "string" }])),
      },
    });
    if (values.help === true) {
      console.log(help);
      process.exit(0);
    }
    const texts: Readonly<Record<string, unknown>> = values;
    const read = known.map(([name, [, byDefault]]) => [name, numberOf(name, texts[name], byDefault)]);
    return Object.fromEntries(read) as Record<Name, number | undefined>;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    process.exit(2);
  }
}

function numberOf(name: string, text: unknown, byDefault: number | undefined): number | undefined {
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} ${text}: a number above 0 is expected`);
  return value;
}
