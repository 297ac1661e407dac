/** What a command reads from standard input: as bytes, and not without end. */
import { Buffer } from "node:buffer";
import { createInterface } from "node:readline/promises";
import { CommandError, EXIT } from "./exit.ts";

/** More than any value or transaction may have, however it is written. */
const BYTES_MAX = 64 * 1024 * 1024;

/** All of a stream. Rejects with CommandError where it is more than anybody can store. */
export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > BYTES_MAX) {
      throw new CommandError(`standard input has more than ${BYTES_MAX} bytes`, EXIT.failed);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Asks a person, who must say yes in so many words: any other answer, and the end, is a no. */
export async function isConfirmed(
  question: string,
  streams: { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream },
): Promise<boolean> {
  const lines = createInterface({ ...streams, terminal: false });
  const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
  const answer = await Promise.race([lines.question(`${question} [y/N] `), ended]);
  lines.close();
  return /^(y|yes)$/i.test(answer.trim());
}
