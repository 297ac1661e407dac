/** `quorate lease …`: keys that live as long as somebody renews. */
import { Argument, type Command } from "commander";
import type { LeaseState } from "../client/index.ts";
import { EXIT, EXIT_CODES } from "./exit.ts";
import { duration, timeText, TTL_MAX_MS, TTL_MIN_MS, wholeNumber } from "./readers.ts";
import { type CommonOptions, type Session, withCommonOptions, withSession } from "./session.ts";
import { interruptible } from "./signals.ts";

/** Adds `lease` with its five commands. */
export function addLeaseCommands(program: Command): void {
  const lease = program
    .command("lease")
    .description("Grant leases, and renew, revoke and show them. Keys live as long as theirs.")
    .addHelpText(
      "after",
      `
Examples:
  quorate lease grant 30s
  quorate put members/ann here --lease 7
  quorate lease keep-alive 7`,
    );
  const ttl = duration({ minMs: TTL_MIN_MS, maxMs: TTL_MAX_MS });
  const grantCommand = lease
    .command("grant")
    .description("Grant a new lease.")
    .addArgument(new Argument("<ttl>", "how long it lives without renewal").argParser(ttl));
  withCommonOptions(grantCommand)
    .addHelpText("after", `\nExamples:\n  quorate lease grant 30s\n${EXIT_CODES}`)
    .action((ttlMs: number, flags: CommonOptions) => {
      return withSession(flags, "write", (session) => grant(session, ttlMs));
    });
  const add = (name: string, about: string) => commandFor(lease, { name, about });
  add("renew", "Let the time of a lease begin anew.")(renew, "write");
  add("revoke", "End a lease, and delete its keys.")(revoke, "write");
  add("get", "Show a lease and its keys.")(show, "read");
  add("keep-alive", "Renew a lease until Ctrl-C.")(keepAlive, "read");
}

/** Prints the id of a new lease. */
export async function grant({ client, output }: Session, ttlMs: number): Promise<number> {
  const lease = await client.leases.grant(ttlMs);
  const said = `lease ${lease.id} is granted: it ends in ${timeText(lease.ttlMs)} unless renewed`;
  output.say(said, { id: lease.id, ttl_ms: lease.ttlMs });
  return EXIT.done;
}

export async function renew({ client, output }: Session, id: number): Promise<number> {
  const lease = await client.leases.find(id);
  const state = await lease.renew();
  output.say(`lease ${id} is renewed: it ends in ${timeText(state.leftMs)}`, dataOf(state));
  return EXIT.done;
}

export async function revoke({ client, output }: Session, id: number): Promise<number> {
  const lease = await client.leases.find(id);
  const { deleted, revision } = await lease.revoke();
  output.say(`lease ${id} is revoked; keys deleted: ${deleted}`, { id, deleted, revision });
  return EXIT.done;
}

/** Prints how long it lives, and its keys. */
export async function show({ client, output }: Session, id: number): Promise<number> {
  const lease = await client.leases.find(id);
  const { keys, ...state } = await lease.get();
  const life = `lease ${id} ends in ${timeText(state.leftMs)} of ${timeText(state.ttlMs)}`;
  output.say([life, ...keys.map((key) => `  ${key}`)].join("\n"), { ...dataOf(state), keys });
  return EXIT.done;
}

/** Renews it until somebody ends this process. Rejects with Interrupted then. */
export async function keepAlive({ client, output }: Session, id: number): Promise<number> {
  return interruptible(async (signal) => {
    const lease = await client.leases.find(id, { signal });
    output.say(`lease ${id} is kept alive until Ctrl-C`, { id, ttl_ms: lease.ttlMs });
    await lease.keepAlive(signal);
    signal.throwIfAborted();
    return EXIT.done;
  });
}

type Doing = (session: Session, id: number) => Promise<number>;

function commandFor(
  lease: Command,
  { name, about }: { readonly name: string; readonly about: string },
): (work: Doing, purpose: "read" | "write") => void {
  const command = lease
    .command(name)
    .description(about)
    .addArgument(new Argument("<id>", "of the lease").argParser(wholeNumber(1)));
  withCommonOptions(command).addHelpText(
    "after",
    `\nExamples:\n  quorate lease ${name} 7\n${EXIT_CODES}`,
  );
  return (work, purpose) => {
    command.action((id: number, flags: CommonOptions) => {
      return withSession(flags, purpose, (session) => work(session, id));
    });
  };
}

function dataOf({ id, ttlMs, leftMs }: LeaseState) {
  return { id, ttl_ms: ttlMs, left_ms: leftMs };
}
