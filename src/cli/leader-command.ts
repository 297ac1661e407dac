/** `quorate leader`: who leads, and handing that over. */
import { Argument, type Command } from "commander";
import type { LeaderStatus } from "../client/index.ts";
import { EXIT, EXIT_CODES } from "./exit.ts";
import { readMember } from "./readers.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";

/** Adds `leader`, which shows who leads, and `leader transfer`. */
export function addLeaderCommand(program: Command): void {
  const leader = program
    .command("leader")
    .description("Show who leads, or hand that over.")
    .addHelpText("after", "\nExamples:\n  quorate leader\n  quorate leader transfer n2");
  withCommonOptions(leader.command("show", { isDefault: true }))
    .description("Show who leads.")
    .addHelpText("after", `\nExamples:\n  quorate leader\n${EXIT_CODES}`)
    .action((flags: CommonOptions) => withSession(flags, "read", show));
  const transferCommand = leader
    .command("transfer")
    .description("Hand leadership over, without the silence that an election waits for.")
    .addArgument(
      new Argument("[target]", "who is to lead; whoever is furthest, if nobody is named").argParser(
        readMember,
      ),
    );
  withCommonOptions(transferCommand)
    .addHelpText(
      "after",
      `
Examples:
  quorate leader transfer
  quorate leader transfer n2
${EXIT_CODES}`,
    )
    .action((target: string | undefined, flags: CommonOptions) => {
      return withSession(flags, "members", (session) => transfer(session, target));
    });
}

/** Prints who leads. */
export async function show({ client, output }: Session): Promise<number> {
  const found = await client.cluster.leader();
  const { leader, clientUrl, term } = found;
  const where = clientUrl === null ? "" : ` at ${clientUrl}`;
  output.say(`${leader} leads in term ${term}${where}`, dataOf(found));
  return EXIT.done;
}

/** Hands leadership over, and prints who leads then. */
export async function transfer(
  { client, output }: Session,
  target: string | undefined,
): Promise<number> {
  const found = await client.cluster.transfer(target);
  output.say(`${found.leader} leads now, in term ${found.term}`, dataOf(found));
  return EXIT.done;
}

function dataOf({ leader, clientUrl, term }: LeaderStatus) {
  return { leader, client_url: clientUrl, term };
}
