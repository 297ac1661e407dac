/** `quorate restore`: a new cluster out of a backup, one member after the other. */
import type { Command } from "commander";
import type { Config } from "../../config.ts";
import { addSettings, offline, settingsOf } from "./offline-command.ts";

const NOTES = `
Every member is restored from the same file, with the same --initial-cluster, and into a data
directory of its own that is empty. Only then start them, with the same settings.

Example:
  quorate restore monday.backup --name n1 --data-dir n1 \\
    --initial-cluster n1=http://127.0.0.1:5001,n2=http://127.0.0.1:5002,n3=http://127.0.0.1:5003`;

export function addRestoreCommand(program: Command): void {
  const command = program
    .command("restore")
    .description("Make the data directory of a member of a new cluster out of a backup.")
    .argument("<file>", "what quorate backup has written");
  addSettings(command, ["name", "data-dir", "initial-cluster", "peer-url"]);
  command.addHelpText("after", NOTES).action((file: string, flags: Record<string, unknown>) => {
    const config = settingsOf(flags);
    return restoreAndTell(file, config);
  });
}

function restoreAndTell(file: string, config: Config): Promise<void> {
  return offline(async (output) => {
    // Only now, as no other command needs it and should wait for it.
    const { restore } = await import("./restore.ts");
    const { name, dataDir } = config;
    const { cluster, revision, compactRevision, keys, index } = await restore(file, config);
    output.say(
      `${dataDir} holds node ${name} of a new cluster: revision ${revision}, ${keys} keys.\n` +
        `Restore every other member from the same file, then start them all; this one with:\n` +
        `  quorate serve --name ${name} --data-dir ${dataDir} …`,
      {
        name,
        data_dir: dataDir,
        cluster,
        revision,
        compact_revision: compactRevision,
        keys,
        index,
      },
    );
  });
}
