/** Processes beside the nodes, so that what they cost is not taken from what is measured. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Of `/proc/<pid>/stat`: ticks are hundredths of a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Starts a program of this folder that says its URL in its first line. */
export async function startServer(file: string): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file)]);
  if (child.stdout === null) throw new Error("no pipe");
  const [url] = (await once(createInterface(child.stdout), "line")) as [string];
  return { url, child };
}

/** The seconds of processor time that a process has used since its start. */
export function cpuSeconds(pid: number): number {
  // The name, in brackets, may have spaces in it.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  const [user, system] = [fields[11], fields[12]];
  return (Number(user) + Number(system)) / TICKS_PER_SECOND;
}
