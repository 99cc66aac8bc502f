// The shop's last resort: ends what is left when the program that started it is gone without a goodbye (SIGKILL, a
// crash, a closed terminal). It is told over stdin what is running; the end of stdin is the signal.
//   "+PID" a process group was started    "-PID" it has ended    "=PATH" a folder to delete
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const groups = new Set<number>();
const folders = new Set<string>();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const rest = line.slice(1);
  if (line.startsWith("+")) groups.add(Number(rest));
  else if (line.startsWith("-")) groups.delete(Number(rest));
  else if (line.startsWith("=")) folders.add(rest);
}
for (const group of groups) {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
