/** How long this machine's disk takes to make a small append durable. */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { median } from "./median.ts";

const APPENDS = 500;

/** The median of an append of 512 bytes and its fdatasync, in milliseconds. */
export function syncMs(): number {
  const folder = mkdtempSync(join(import.meta.dirname, "..", ".bench-"));
  const file = openSync(join(folder, "probe"), "a");
  const block = Buffer.alloc(512, 1);
  const times = Array.from({ length: APPENDS }, () => {
    const startedAt = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - startedAt;
  });
  closeSync(file);
  rmSync(folder, { recursive: true });
  return median(times);
}
