// Logs: one JSON object per line on stderr, through pino. Stdout belongs to the ready line and to programs' output.
import { destination, type Level, type Logger, pino } from "pino";

export type Log = Logger;
export type LogLevel = Level | "silent";

export const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

/** A log for one program. `level` can be changed while it runs. */
export function createLog(program: string, level: LogLevel = "info"): Log {
  return pino(
    {
      level,
      base: { program },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ fd: 2, sync: true }),
  );
}

/** A log that says nothing, for tests. */
export function silentLog(): Log {
  return pino({ level: "silent" });
}
