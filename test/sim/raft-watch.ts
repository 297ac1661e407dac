/**
 * Watches what a core is asked and answers, where its state alone does not tell: changes that were
 * refused, votes that strangers ask for, and reads that needed no round.
 */
import { assert } from "../../src/lib/assert.ts";
import { memberOf } from "../../src/raft/membership.ts";
import type { Input } from "../../src/raft/message.ts";
import type { Raft } from "../../src/raft/raft.ts";
import type { Configurations } from "./configurations.ts";
import type { Sometimes } from "./sometimes.ts";

/** Of a process that has read its disk, and whose core was not asked for anything yet. */
export function watchRaft(raft: Raft, configurations: Configurations, sometimes: Sometimes): void {
  watchChanges(raft, sometimes);
  watchReads(raft, sometimes);
  watchVotes(raft, configurations, sometimes);
}

/** What is refused leaves no trace. A lease ends with the beginning of a transfer (R7). */
function watchChanges(raft: Raft, sometimes: Sometimes): void {
  const { core } = raft;
  const change = raft.change.bind(raft);
  raft.change = (changes, now) => {
    const { configuration, log } = core;
    const { lastIndex } = log;
    const result = change(changes, now);
    if ("index" in result) return result;
    const isSame = core.configuration === configuration && log.lastIndex === lastIndex;
    assert(isSame, () => `refused as ${result.refused}, and yet something was done`);
    return result;
  };
  const transfer = raft.transfer.bind(raft);
  raft.transfer = (target, now) => {
    const hadLease = core.role.kind === "leader" && core.role.leaseUntil > now;
    const result = transfer(target, now);
    if (core.role.kind !== "leader" || core.role.transfer === null) return result;
    assert(core.role.leaseUntil <= now, "a lease outlives the beginning of a transfer");
    if (hadLease) sometimes.saw("a lease ended by a transfer");
    return result;
  };
}

function watchReads(raft: Raft, sometimes: Sometimes): void {
  const drain = raft.drain.bind(raft);
  raft.drain = () => {
    const ready = drain();
    if (ready.reads.some(({ byLease }) => byLease)) sometimes.saw("a read was answered by a lease");
    return ready;
  };
}

/** E8: who is no member any more does not depose a leader by asking for votes. */
function watchVotes(raft: Raft, configurations: Configurations, sometimes: Sometimes): void {
  const { core } = raft;
  const step = raft.step.bind(raft);
  raft.step = (input, now) => {
    const from = strangerIn(input, configurations);
    if (from === null) return step(input, now);
    sometimes.saw("a removed node asked for votes");
    core.now = now;
    const { term, leader, hasLiveLeader } = core;
    step(input, now);
    const isSame = core.term === term && core.leader === leader;
    assert(!hasLiveLeader || isSame, () => `${from}, which was removed, disturbs ${core.id}`);
  };
}

/** Who asks for a vote by itself, and is no member any more. */
function strangerIn(input: Input, { newest }: Configurations): string | null {
  if (input.type !== "message") return null;
  const { message } = input;
  const asks = message.type === "prevote" || (message.type === "vote" && !message.isTransfer);
  return asks && memberOf(newest.configuration, message.from) === undefined ? message.from : null;
}
