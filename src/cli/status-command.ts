/** `quorate status`: how the nodes are doing. */
import type { Command } from "commander";
import type { EndpointStatus, NodeStatus } from "../client/index.ts";
import { CommandError, EXIT, EXIT_CODES } from "./exit.ts";
import type { Row } from "./output.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";

export function addStatusCommand(program: Command): void {
  const command = program
    .command("status")
    .description("Show how every node at the endpoints is doing.");
  withCommonOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  quorate status
  quorate status --endpoints http://127.0.0.1:4001,http://127.0.0.1:4002
${EXIT_CODES}`,
    )
    .action((flags: CommonOptions) => withSession(flags, "read", status));
}

/** Shows every node at the endpoints, a row each, and fails where none of them answers. */
export async function status({ client, output, warn }: Session): Promise<number> {
  const all = await client.status();
  output.table(all.map(rowOf));
  for (const { error } of all) if (error !== null) warn(error.message);
  if (all.every(({ error }) => error !== null)) {
    throw new CommandError("none of the endpoints answers", EXIT.failed);
  }
  return EXIT.done;
}

/** What a node says of itself; null where it says nothing. */
function rowOf({ endpoint, status: found }: EndpointStatus): Row {
  return {
    endpoint,
    name: found?.name ?? null,
    role: found === null ? null : roleOf(found),
    leader: found?.leader ?? null,
    term: found?.term ?? null,
    committed: found?.log.committed ?? null,
    applied: found?.log.applied ?? null,
    revision: found?.revision ?? null,
    keys: found?.keys ?? null,
  };
}

/** What it is to the cluster: what Raft takes itself for does not count where it is out of it. */
function roleOf({ role, removed, quarantined }: NodeStatus): string {
  if (removed) return "removed";
  return quarantined ? "quarantined" : role;
}
