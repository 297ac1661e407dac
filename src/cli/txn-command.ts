/** `quorate txn`: compares and operations, all or nothing. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { Txn } from "../client/index.ts";
import { textIn } from "./entries.ts";
import { CommandError, EXIT } from "./exit.ts";
import { readAll } from "./input.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";

interface TxnFlags extends CommonOptions {
  readonly file?: string;
}

const NOTES = `
The transaction is JSON as for POST /v1/txn: if every compare holds, all of "success" is done, and
else all of "failure", under one revision. A compare names one of version, mod_revision,
create_revision, lease, value and exists; an operation is one of put, get, delete, delete_prefix and
increment.

Examples:
  echo '{"compare": [{"key": "color", "value": "blue"}],
         "success": [{"put": {"key": "color", "value": "green"}}],
         "failure": [{"get": {"key": "color"}}]}' | quorate txn
  quorate txn --file move.json
  quorate lock deploy -- sh -c 'quorate txn << END
  {"compare": [{"key": "\${QUORATE_LOCK_KEY}", "create_revision": \${QUORATE_LOCK_TOKEN}}],
   "success": [{"put": {"key": "deployed", "value": "v2"}}]}
  END'

Exit codes: 0 the compares held; 1 they did not; 2 wrong usage; 3 certainly not done; 4 may have
been done.`;

export function addTxnCommand(program: Command): void {
  const command = program
    .command("txn")
    .description("Do several things at once, all or nothing; JSON from standard input.")
    .option("--file <path>", "read the transaction from there instead");
  withCommonOptions(command)
    .addHelpText("after", NOTES)
    .action(async (flags: TxnFlags) => {
      const { file } = flags;
      const wanted = await readTxn(file);
      await withSession(flags, "write", (session) => txn(session, wanted));
    });
}

/** Prints what came of it. Returns EXIT.no where the compares did not hold. */
export async function txn({ client, output }: Session, wanted: Txn): Promise<number> {
  const { txnData } = await import("./txn-json.ts");
  const data = txnData(await client.txn(wanted));
  output.say(JSON.stringify(data, null, 2), data);
  return data.succeeded ? EXIT.done : EXIT.no;
}

/** Rejects with CommandError. */
async function readTxn(file: string | undefined): Promise<Txn> {
  // Only now, as no other command needs it and should wait for it.
  const { txnFrom } = await import("./txn-json.ts");
  const where = file === undefined ? "standard input" : file;
  const bytes = file === undefined ? await readAll(process.stdin) : await readBytes(file);
  const text = textIn(bytes);
  const found = text === null ? "it is no UTF-8" : txnFrom(text);
  if (typeof found !== "string") return found;
  const example = "quorate txn --help shows one";
  throw new CommandError(`${where} has no transaction: ${found}; ${example}`, EXIT.usage);
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new CommandError(`cannot read --file ${file}: ${(error as Error).message}`, EXIT.usage);
  }
}
