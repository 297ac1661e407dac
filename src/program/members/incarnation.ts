/** A name for a data directory, so that a lost one is noticed. */
import { randomBytes } from "node:crypto";

/** One that no other directory has. */
export function newIncarnation(): string {
  return randomBytes(12).toString("hex");
}
