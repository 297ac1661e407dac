/** `quorate recover`: the last resort, where a majority of the nodes is lost for ever. */
import type { Command } from "commander";
import { CommandError, EXIT } from "../../cli/exit.ts";
import type { Config } from "../../config.ts";
import { addSettings, offline, settingsOf } from "./offline-command.ts";

const NOTES = `
Only where a majority of the nodes will never come back: else start the nodes that are missing.
Choose the survivor that has got furthest (committed and last, in quorate status or in the last
lines of its log), and leave all others stopped for ever: their data belongs to the old cluster.

Example:
  quorate recover --name n1 --data-dir n1 --i-accept-data-loss`;

const REFUSED =
  "a recovery loses every write that a majority had acknowledged and this node did not get; it " +
  "is for when a majority is lost for ever. If so, add --i-accept-data-loss";

export function addRecoverCommand(program: Command): void {
  const command = program
    .command("recover")
    .description("Make a cluster of one out of a survivor, where a majority is lost for ever.");
  addSettings(command, ["name", "data-dir"]);
  command
    .option("--i-accept-data-loss", "acknowledged writes that this node did not get are lost")
    .addHelpText("after", NOTES)
    .action((flags: Record<string, unknown>) => {
      const config = settingsOf(flags);
      if (flags["iAcceptDataLoss"] !== true) throw new CommandError(REFUSED, EXIT.usage);
      return recoverAndTell(config);
    });
}

function recoverAndTell(config: Config): Promise<void> {
  return offline(async (output) => {
    // Only now, as no other command needs it and should wait for it.
    const { recover } = await import("./recover.ts");
    const { name, dataDir } = config;
    const { cluster, lastIndex, lastTerm, wasInDoubt } = await recover(config);
    const found = { last_index: lastIndex, last_term: lastTerm, was_in_doubt: wasInDoubt };
    output.say(
      `${dataDir} holds a cluster of one, which has all that ${name} had.\n` +
        `Start it without --initial-cluster, with:\n` +
        `  quorate serve --name ${name} --data-dir ${dataDir} …`,
      { name, data_dir: dataDir, cluster, ...found },
    );
    const doubt = wasInDoubt ? " This node was in doubt: it may lack what it once had, too." : "";
    process.stderr.write(
      `quorate: LOST: whatever was acknowledged after entry ${lastIndex} of term ${lastTerm}.` +
        `${doubt} What was in the log up to there counts now, acknowledged or not. Never start ` +
        `the other nodes of the old cluster again: new ones can --join, with new directories\n`,
    );
  });
}
