// From argv to one command's run to an exit code. The only file that knows the parser; commands see Invocations.
import { Argument, Command, CommanderError, Option } from "commander";
import { parseHostPort } from "../../runtime/address.ts";
import { PROGRAM_VERSION } from "../../runtime/version.ts";
import { type CommandSpec, type Invocation, type OptionSpec, OUTPUT_FORMATS, type OutputFormat } from "./command.ts";
import { COMMANDS } from "./command-table.ts";
import { stderrPaint } from "./emit.ts";
import { CliFailure, EXIT, usageFailure } from "./failure.ts";
import { Flags } from "./flags.ts";
import { hintForCommand, hintForFlag, hintForWords, shownWords } from "./hints.ts";
import { didYouMean } from "./kinds.ts";
import { GLOBAL_OPTIONS, SERVER_DEFAULT, TIMEOUT_MS_DEFAULT } from "./options.ts";
import { writeDiagnostics } from "./print/diagnostics.ts";
import { printable, wantsColor } from "./print/text.ts";
import { ROLLOUT_ACTIONS } from "./rollout-actions.ts";
import type { Shell } from "./shell.ts";

/** Short flags of any command that take a value. */
const SHORT_WITH_VALUE = /^-[fnomH]=./;

/** Room for help text where the terminal does not say how wide it is. */
const HELP_COLUMNS = 100;

/** Runs one command line (without the program's own name) to its exit code. Never throws. */
export async function runProgram(words: readonly string[], shell: Shell): Promise<number> {
  const argv = words.map(withoutEquals);
  let exitCode: number = EXIT.done;
  const program = buildProgram(shell, async (spec, command) => {
    const run = await spec.load();
    exitCode = await run(invocationOf(command, shell));
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return parserExit(error, argv, shell);
    return reportFailure(error, argv, shell);
  }
}

/** `-o=json` means `-o json`, as in kubectl; the parser would take "=json" for the value. */
function withoutEquals(word: string): string {
  return SHORT_WITH_VALUE.test(word) ? word.slice(0, 2) + word.slice(3) : word;
}

function buildProgram(shell: Shell, act: (spec: CommandSpec, command: Command) => Promise<void>): Command {
  const program = new Command("weft");
  configure(program, shell)
    .usage("COMMAND [flags]")
    .description("The command line of Weft, a service mesh: rules in, live traffic follows.")
    .enablePositionalOptions()
    .helpCommand(false)
    .addOption(new Option("--version", "print the version of the CLI").helpGroup("Global flags:"))
    .addHelpText("after", "\nUse 'weft COMMAND --help' (or 'weft help COMMAND') for a command's flags and examples.");
  addOptions(program, GLOBAL_OPTIONS, "Global flags:");
  // Reached only by words that are no command of the table.
  program
    .argument("[words...]")
    .allowUnknownOption()
    .action(() => actWithoutCommand(program, shell));
  for (const spec of COMMANDS) program.addCommand(buildCommand(spec, shell, act), { hidden: spec.hidden === true });
  return program;
}

async function actWithoutCommand(program: Command, shell: Shell): Promise<void> {
  const [word, name] = program.args;
  if (word === "help" && name !== undefined) {
    const command = program.commands.find((known) => known.name() === name);
    if (command === undefined) throw unknownCommand([name]);
    command.help();
  }
  if (word?.startsWith("-")) throw unknownFlag(word);
  if (word !== undefined && word !== "help") throw unknownCommand(program.args);
  if (program.opts()["version"] !== true) program.help();
  shell.stdout.write(`weft ${PROGRAM_VERSION}\n`);
}

function buildCommand(
  spec: CommandSpec,
  shell: Shell,
  act: (spec: CommandSpec, command: Command) => Promise<void>,
): Command {
  const command = configure(new Command(spec.name), shell)
    .summary(spec.summary)
    .description(spec.details === undefined ? `${spec.summary}.` : `${spec.summary}.\n${spec.details}`)
    .helpGroup(`${spec.group}:`);
  for (const { syntax, help } of spec.arguments ?? []) command.addArgument(new Argument(syntax, help));
  addOptions(command, spec.options ?? [], "Flags:");
  addOptions(command, GLOBAL_OPTIONS, "Global flags:");
  command.addHelpText("after", examplesText(spec));
  return command.allowExcessArguments().action(() => {
    refuseExcess(command);
    return act(spec, command);
  });
}

/** The parser would say how many words are too many, and not what to do with them. */
function refuseExcess(command: Command): void {
  const words = command.args.slice(command.registeredArguments.length);
  if (words.length === 0 || command.registeredArguments.at(-1)?.variadic === true) return;
  const name = command.name();
  const line = [name, ...command.args.slice(0, command.registeredArguments.length)];
  const message = `too many arguments for '${name}': ${shownWords(words)}`;
  throw usageFailure(message, ...hintForWords(line, words), `see: weft ${name} --help`);
}

function configure(command: Command, shell: Shell): Command {
  return command
    .exitOverride()
    .addHelpOption(new Option("-h, --help", "show this help").helpGroup("Global flags:"))
    .configureHelp({
      // Every command has flags; saying so on each line leaves less room for what it does.
      subcommandTerm: (subcommand) =>
        [subcommand.name(), ...subcommand.registeredArguments.map(argumentTerm)].join(" "),
      // They are in the usage line, and the examples show them.
      visibleArguments: () => [],
    })
    .configureOutput({
      writeOut: (text) => shell.stdout.write(text),
      // Errors are written once, by parserExit, with a hint and in the format asked for.
      writeErr: () => undefined,
      getOutHelpWidth: () => shell.stdout.columns || HELP_COLUMNS,
      getOutHasColors: () => false,
    });
}

function addOptions(command: Command, options: readonly OptionSpec[], group: string): void {
  for (const spec of options) {
    const option = new Option(spec.flags, spec.help).helpGroup(group);
    if (spec.repeatable === true) {
      option.argParser<readonly string[] | undefined>((value, previous) => [...(previous ?? []), value]);
    }
    command.addOption(option);
  }
}

function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function examplesText(spec: CommandSpec): string {
  if (spec.examples.length === 0) return "";
  return `\nExamples:\n${spec.examples.map(([command, comment]) => `  # ${comment}\n  ${command}`).join("\n\n")}`;
}

/** Flags may stand before the command or after it; the one nearer to the command wins. */
function invocationOf(command: Command, shell: Shell): Invocation {
  const values: Record<string, unknown> = { ...command.parent?.opts(), ...command.opts() };
  const flags = new Flags(values);
  return {
    args: command.args,
    flags,
    shell,
    commands: COMMANDS,
    output: outputFormat(flags.text("output") || shell.env["WEFT_OUTPUT"] || "table"),
    color: wantsColor({ isTTY: shell.stdout.isTTY, env: shell.env }),
    server: serverAddress(flags.text("server") || shell.env["WEFT_SERVER"] || SERVER_DEFAULT),
    namespace: flags.text("namespace") || shell.env["WEFT_NAMESPACE"] || undefined,
    timeoutMs: timeoutMs(flags, shell),
  };
}

function timeoutMs(flags: Flags, shell: Shell): number {
  const fromEnvironment = new Flags({ timeout: shell.env["WEFT_TIMEOUT"] || undefined });
  return flags.durationMs("timeout", fromEnvironment.durationMs("timeout", TIMEOUT_MS_DEFAULT));
}

function outputFormat(text: string): OutputFormat {
  const format = OUTPUT_FORMATS.find((known) => known === text);
  if (format !== undefined) return format;
  const hint = didYouMean(text, OUTPUT_FORMATS);
  throw usageFailure(`--output: "${text}" is no output format; expected ${OUTPUT_FORMATS.join(", ")}${hint}`);
}

function serverAddress(text: string): string {
  const address = parseHostPort(text);
  if (address === undefined || address.port === 0) {
    throw usageFailure(`--server: "${text}" is no address; expected HOST:PORT, such as ${SERVER_DEFAULT}`);
  }
  return text.startsWith(":") ? `127.0.0.1${text}` : text;
}

/** @param words from that word on */
function unknownCommand(words: readonly string[]): CliFailure {
  const [word = ""] = words;
  const names = COMMANDS.filter((spec) => spec.hidden !== true).map((spec) => spec.name);
  const hint = hintForCommand(words, ROLLOUT_ACTIONS);
  const near = hint.length === 0 ? didYouMean(word, names) : "";
  return usageFailure(`unknown command '${word}'${near}`, ...hint, "see: weft --help");
}

function unknownFlag(word: string): CliFailure {
  const flags = GLOBAL_OPTIONS.map((option) => /--[\w-]+/.exec(option.flags)?.[0] ?? "");
  return usageFailure(
    `unknown option '${word}'${didYouMean(word, [...flags, "--version", "--help"])}`,
    "see: weft --help",
  );
}

/** The parser stops for help as well as for bad usage. */
function parserExit(error: CommanderError, argv: readonly string[], shell: Shell): number {
  if (error.exitCode === 0 || error.code === "commander.help") return EXIT.done;
  const message = error.message.replace(/^error: /, "").replace(/\n\((D)(.*)\)$/, " (d$2)");
  // The command is the first of its words: `rollout history` is no history.
  const spec = argv.map((word) => COMMANDS.find(({ name }) => name === word)).find((found) => found !== undefined);
  const flag = error.code === "commander.unknownOption" ? (/'([^']+)'/.exec(message)?.[1] ?? "") : "";
  const known = [...(spec?.options ?? []), ...GLOBAL_OPTIONS].flatMap(({ flags }) => /--[\w-]+/.exec(flags) ?? []);
  const hint = hintForFlag(spec?.name ?? "", flag, known);
  const said = hint.length === 0 ? message : message.replace(/ \(did you mean .*\)$/, "");
  const see = `see: weft ${spec === undefined ? "" : `${spec.name} `}--help`;
  return reportFailure(usageFailure(said, ...hint, see), argv, shell);
}

/** Says what went wrong on stderr, and with `-o json` as the one document on stdout. */
function reportFailure(error: unknown, argv: readonly string[], shell: Shell): number {
  const failure = error instanceof CliFailure ? error : unexpected(error);
  const paint = stderrPaint(shell);
  writeDiagnostics(failure.diagnostics, shell.stderr, paint);
  shell.stderr.write(`${paint("red", "error:")} ${printable(failure.message)}\n`);
  for (const line of failure.next) shell.stderr.write(`  ${printable(line)}\n`);
  if (asksForJson(argv, shell)) shell.stdout.write(`${JSON.stringify(failureJson(failure), null, 2)}\n`);
  return failure.exitCode;
}

function failureJson(failure: CliFailure): unknown {
  const { code, message, next, diagnostics } = failure;
  return { error: { code, message, next }, ...(diagnostics.length === 0 ? {} : { diagnostics }) };
}

/** A fault of the CLI itself: shown with its stack, because only that helps. */
function unexpected(error: unknown): CliFailure {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new CliFailure("failed", `unexpected failure of the CLI: ${detail}`);
}

/** Looked up in argv itself, because a command line that did not parse has no flags. */
function asksForJson(argv: readonly string[], shell: Shell): boolean {
  const isGiven = argv.some((word) => /^(-o|--output)/.test(word));
  if (!isGiven) return shell.env["WEFT_OUTPUT"] === "json";
  return argv.some(
    (word, index) => /^(-o|--output=)json$/.test(word) || (/^(-o|--output)$/.test(word) && argv[index + 1] === "json"),
  );
}
