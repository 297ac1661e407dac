/** `quorate member …`: who the members are, and changes of that. */
import { Argument, type Command } from "commander";
import type { ClusterStatus, Member } from "../client/index.ts";
import { CommandError, EXIT, EXIT_CODES } from "./exit.ts";
import { replace } from "./member-replacement.ts";
import type { Line } from "./output.ts";
import { readMember, readUrl } from "./readers.ts";
import {
  type CommonOptions,
  type Purpose,
  type Session,
  withCommonOptions,
  withSession,
} from "./session.ts";

type Work = (session: Session, first: string, second: string) => Promise<number>;

interface Plain {
  readonly name: string;
  readonly about: string;
  readonly args: readonly Argument[];
  readonly example: string;
  readonly purpose: Purpose;
  readonly work: Work;
}

const NAME = new Argument("<name>", "of the member").argParser(readMember);
const PEER_URL = new Argument("<peer-url>", "where the other nodes reach it").argParser(readUrl);

/** Adds `member` with its commands. */
export function addMemberCommands(program: Command): void {
  const member = program
    .command("member")
    .description("Show the members of the cluster, and change who they are.")
    .addHelpText(
      "after",
      `
Examples:
  quorate member list
  quorate member add n4 http://10.0.0.4:5001 --learner
  quorate member replace n1 n4
  quorate member remove n4`,
    );
  addAdd(member);
  for (const each of plain) addPlain(member, each);
}

/** All that have no options of their own. */
const plain: readonly Plain[] = [
  {
    name: "list",
    about: "Show all members, and how far each of them is.",
    args: [],
    example: "quorate member list",
    purpose: "read",
    work: list,
  },
  {
    name: "remove",
    about: "Remove a member. Its name can be used again, its data directory cannot.",
    args: [NAME],
    example: "quorate member remove n4",
    purpose: "members",
    work: async (session, name) => {
      return tell(session, `${name} is removed`, await session.client.cluster.remove(name));
    },
  },
  {
    name: "promote",
    about: "Make a learner a voter, if it keeps up.",
    args: [NAME],
    example: "quorate member promote n4",
    purpose: "members",
    work: async (session, name) => {
      return tell(session, `${name} votes`, await session.client.cluster.promote(name));
    },
  },
  {
    name: "demote",
    about: "Make a voter a learner, which has the data and decides nothing.",
    args: [NAME],
    example: "quorate member demote n4",
    purpose: "members",
    work: async (session, name) => {
      return tell(session, `${name} is a learner`, await session.client.cluster.demote(name));
    },
  },
  {
    name: "move",
    about: "Say where the other nodes reach a member from now on.",
    args: [NAME, PEER_URL],
    example: "quorate member move n4 http://10.0.0.14:5001",
    purpose: "members",
    work: async (session, name, peerUrl) => {
      const status = await session.client.cluster.change({ move: [{ name, peerUrl }] });
      return tell(session, `${name} is at ${peerUrl}`, status);
    },
  },
  {
    name: "replace",
    about:
      "Wait until a new member keeps up, then let it vote and remove the old one, in one step.",
    args: [
      new Argument("<old>", "the member to go").argParser(readMember),
      new Argument("<new>", "the member to stay").argParser(readMember),
    ],
    example: "quorate member replace n1 n4",
    purpose: "members",
    work: async (session, old, young) => {
      if (old === young) {
        const text = "name two members: the one to go, and the one to stay";
        throw new CommandError(text, EXIT.usage);
      }
      return tell(session, `${young} has replaced ${old}`, await replace(session, { old, young }));
    },
  },
];

function addAdd(member: Command): void {
  const command = member
    .command("add")
    .description("Announce a member, which is then started with --join.")
    .addArgument(NAME)
    .addArgument(PEER_URL)
    .option("--learner", "it stays a learner, instead of voting when it has caught up");
  withCommonOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  quorate member add n4 http://10.0.0.4:5001
  quorate member add n4 http://10.0.0.4:5001 --learner
${EXIT_CODES}`,
    )
    .action((name: string, peerUrl: string, flags: CommonOptions & { learner?: boolean }) => {
      const role = flags.learner === true ? "learner" : "voter";
      return withSession(flags, "members", async (session) => {
        const status = await session.client.cluster.add({ name, peerUrl, role });
        return tell(session, `${name} is announced: start it with --join`, status);
      });
    });
}

/** Shows every member, a row each. */
export async function list({ client, output }: Session): Promise<number> {
  const { members, leader } = await client.cluster.status();
  output.lines(members.map((member) => lineOf(member, leader)));
  return EXIT.done;
}

function lineOf(member: Member, leader: string | null): Line {
  const { name, role, joining, peerUrl, clientUrl, lag, lastContactMs, keepsUp } = member;
  const isLeader = name === leader;
  const row = {
    name,
    role: joining ? "joining" : role,
    leads: isLeader ? "yes" : "no",
    lag,
    heard: lastContactMs === null ? null : `${lastContactMs} ms ago`,
    peer_url: peerUrl,
    client_url: clientUrl,
  };
  const data = {
    name,
    role,
    joining,
    leads: isLeader,
    lag,
    last_contact_ms: lastContactMs,
    keeps_up: keepsUp,
    in_doubt: member.inDoubt,
    peer_url: peerUrl,
    client_url: clientUrl,
  };
  return { row, data };
}

/** Says what is done, or shows who the members are now. */
function tell({ output }: Session, text: string, { members }: ClusterStatus): number {
  const named = (wanted: Member["role"]) =>
    members.filter(({ role }) => role === wanted).map(({ name }) => name);
  output.say(text, { voters: named("voter"), learners: named("learner") });
  return EXIT.done;
}

function addPlain(member: Command, { name, about, args, example, purpose, work }: Plain): void {
  const command = member.command(name).description(about);
  for (const each of args) command.addArgument(each);
  withCommonOptions(command)
    .addHelpText("after", `\nExamples:\n  ${example}\n${EXIT_CODES}`)
    .action((...given: unknown[]) => {
      // As commander has it: the arguments, and then the options.
      const flags = given[args.length] as CommonOptions;
      const [first = "", second = ""] = given.slice(0, args.length) as string[];
      return withSession(flags, purpose, (session) => work(session, first, second));
    });
}
