/**
 * One node of the model: the production core with its disk, frozen between two steps.
 *
 * Equal nodes are one object, and what an event makes of a node is worked out once: the core runs
 * only for what was never seen before.
 *
 * Time is abstracted: between any two steps as much of it passes as anybody likes. No lease holds
 * (a vote is never refused because a leader was heard), an election may start whenever no more
 * leaders' terms are allowed than the bounds say, and an answer is overdue when a beat says so. So
 * all deadlines are set to one fixed moment after every step. Pre-votes are always granted: they
 * promise nothing, and without them more can happen.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Core } from "../../src/raft/core.ts";
import type { Entry } from "../../src/raft/entry.ts";
import { captureState, checkBasic, checkDelta } from "../../src/raft/invariants.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message, Ready, Write } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import { nothingSaved } from "../../src/raft/saved.ts";
import {
  asIndex,
  type HardState,
  type Index,
  type Millis,
  type NodeId,
} from "../../src/raft/types.ts";
import { copyOf, describe, describeEntry, renamed } from "./values.ts";

export const NODES = ["n1", "n2", "n3"] as NodeId[];
const NOW = 1_000 as Millis;
const NEVER = (NOW + 1) as Millis;
const ELECTION_MS = 10;
const HEARTBEAT_MS = 2;
const LARGE = 1_000_000;

/** What can happen to a node. */
export type Event =
  | { readonly type: "deliver"; readonly message: number }
  /** The oldest write is on disk. */
  | { readonly type: "persist" }
  /** The node stands for election. */
  | { readonly type: "timeout" }
  /** The leader has heard no quorum for long. */
  | { readonly type: "silence" }
  /** The leader's heartbeat is due, and everything that is sent again. */
  | { readonly type: "beat" }
  | { readonly type: "propose"; readonly commands: readonly number[] }
  /** Of the writes under way, so many have reached the disk. */
  | { readonly type: "crash"; readonly kept: number };

/** What the world sees of a node. */
export interface View {
  readonly term: number;
  readonly role: Core["role"]["kind"];
  readonly log: readonly string[];
  readonly committed: number;
  readonly diskTerm: number;
  readonly diskVote: string | null;
  readonly diskLog: readonly string[];
  readonly pending: number;
}

/** A node between two steps. */
export interface NodeState extends View {
  /** Equal for equal nodes. */
  readonly id: number;
  readonly raft: Raft;
  readonly disk: Disk;
  readonly writes: readonly PendingWrite[];
  readonly outcomes: Map<number, Outcome>;
}

/** What an event makes of a node, and the numbers of the messages that leave it. */
export interface Outcome {
  readonly state: NodeState;
  readonly sent: readonly number[];
  /** What is wrong with that; null: nothing. */
  readonly failure: string | null;
}

export interface Disk {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

interface PendingWrite extends Omit<Write, "reset"> {
  readonly after: readonly Message[];
}

/** A bug in the driver, to see whether it is found. */
export type Plant = "votes at once" | "acknowledges at once" | null;

export interface NodeModelOptions {
  readonly appendEntriesMax: number;
  /** How many messages with entries may be on their way to one follower. */
  readonly windowMessages: number;
  /** Whether there are beats: without, nobody is told of a commit but by appends. */
  readonly beats: boolean;
  /**
   * Whether to check, too, that no message promises what is not on disk. Without, only what follows
   * from a broken promise is found: two leaders, lost entries.
   */
  readonly promises: boolean;
  readonly plant: Plant;
}

/** All nodes and messages that were ever seen. */
export class NodeModel {
  readonly messages: Message[] = [];
  readonly states: NodeState[] = [];
  private readonly options: NodeModelOptions;
  private readonly messageIds = new Map<string, number>();
  private readonly stateIds = new Map<string, NodeState>();

  constructor(options: NodeModelOptions) {
    this.options = options;
  }

  /** A node that starts from this disk. */
  start(id: NodeId, disk: Disk): NodeState {
    return this.intern(this.boot(id, disk), disk, []);
  }

  /** What `event` makes of the node. */
  outcome(state: NodeState, event: Event): Outcome {
    const key = keyOf(event);
    let outcome = state.outcomes.get(key);
    if (outcome === undefined) {
      outcome = this.work(state, event);
      state.outcomes.set(key, outcome);
    }
    return outcome;
  }

  /** The same node and history, with all names exchanged. */
  renamed(state: NodeState, names: ReadonlyMap<NodeId, NodeId>): NodeState {
    const { core } = renamed(state.raft, names);
    const options = { ...core.options, id: core.id };
    const raft = Object.assign(copyOf(state.raft), { core: Object.assign(core, { options }) });
    return this.intern(raft, renamed(state.disk, names), renamed(state.writes, names));
  }

  renamedMessage(message: number, names: ReadonlyMap<NodeId, NodeId>): number {
    return this.internAll([renamed(this.messages[message] as Message, names)])[0] as number;
  }

  private work(before: NodeState, event: Event): Outcome {
    const life = new Life(this.options, before);
    try {
      if (event.type === "crash") {
        const disk = before.writes.slice(0, event.kept).reduce(written, before.disk);
        const raft = this.boot(before.raft.core.id, disk);
        return { state: this.intern(raft, disk, []), sent: [], failure: null };
      }
      const known = captureState(life.raft);
      life.take(event, this.messages);
      checkBasic(life.raft);
      checkDelta(known, life.raft);
      const state = this.intern(life.raft, life.disk, life.writes);
      return { state, sent: this.internAll(life.sent), failure: null };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return { state: before, sent: [], failure: error.message };
    }
  }

  private boot(id: NodeId, { hardState, entries }: Disk): Raft {
    const options = {
      id,
      bootstrap: configurationOf({ voters: NODES }),
      heartbeatMs: HEARTBEAT_MS,
      electionMs: ELECTION_MS,
      leaseMs: 0,
      tickMs: LARGE,
      appendEntriesMax: this.options.appendEntriesMax,
      appendBytesMax: LARGE,
      window: { bytes: LARGE, messages: this.options.windowMessages },
      applyEntriesMax: LARGE,
      logBytesMax: LARGE,
      unappliedEntriesMax: LARGE,
      unappliedBytesMax: LARGE,
      random: { below: () => 0 },
    };
    return new Raft(options, { ...nothingSaved, hardState, entries }, NOW);
  }

  private intern(raft: Raft, disk: Disk, writes: readonly PendingWrite[]): NodeState {
    const renumbered = stopClock(raft.core, writes);
    if (!this.options.beats) forgetTold(raft.core);
    const key = describe([raft.core, disk, renumbered]);
    const known = this.stateIds.get(key);
    if (known !== undefined) return known;
    const { core } = raft;
    const entries = Array.from({ length: core.log.lastIndex }, (_, i) =>
      core.log.entryAt((i + 1) as Entry["index"]),
    );
    const state: NodeState = {
      id: this.states.length,
      raft,
      disk,
      writes: renumbered,
      outcomes: new Map(),
      term: core.term,
      role: core.role.kind,
      log: entries.map(describeEntry),
      committed: core.log.committed,
      diskTerm: disk.hardState.term,
      diskVote: disk.hardState.vote,
      diskLog: disk.entries.map(describeEntry),
      pending: writes.length,
    };
    this.states.push(state);
    this.stateIds.set(key, state);
    return state;
  }

  private internAll(messages: readonly Message[]): readonly number[] {
    return messages.map((message) => {
      const key = describe(message);
      const known = this.messageIds.get(key);
      if (known !== undefined) return known;
      this.messageIds.set(key, this.messages.length);
      this.messages.push(message);
      return this.messages.length - 1;
    });
  }
}

/** A node while something happens to it. */
class Life {
  readonly raft: Raft;
  readonly sent: Message[] = [];
  disk: Disk;
  writes: PendingWrite[];
  private readonly options: NodeModelOptions;

  constructor(options: NodeModelOptions, before: NodeState) {
    this.options = options;
    this.raft = copyOf(before.raft);
    this.disk = before.disk;
    this.writes = [...before.writes];
  }

  take(event: Exclude<Event, { type: "crash" }>, messages: readonly Message[]): void {
    const { raft } = this;
    switch (event.type) {
      case "deliver":
        raft.step({ type: "message", message: messages[event.message] as Message }, NOW);
        break;
      case "persist":
        this.persist();
        break;
      case "propose":
        raft.propose(
          event.commands.map((command) => Uint8Array.of(command)),
          NOW,
        );
        break;
      case "timeout":
        raft.step({ type: "tick" }, NOW);
        this.grantPrevotes();
        break;
      case "beat":
      case "silence":
        makeDue(raft.core, event.type);
        raft.step({ type: "tick" }, NOW);
    }
    this.carryOut(raft.drain());
  }

  private persist(): void {
    const [write, ...rest] = this.writes;
    assert(write !== undefined, "nothing is being written");
    this.disk = written(this.disk, write);
    this.writes = rest;
    for (const message of write.after) this.send(message);
    this.raft.step({ type: "persisted", write: write.number }, NOW);
  }

  private grantPrevotes(): void {
    const { core } = this.raft;
    for (const from of NODES) {
      if (from === core.id || core.role.kind !== "precandidate") continue;
      const about = { from, to: core.id, term: core.term, round: core.role.round };
      const message: Message = { ...about, type: "prevoted", granted: true };
      this.raft.step({ type: "message", message }, NOW);
    }
  }

  private carryOut({ messages, write, messagesAfterPersist }: Ready): void {
    for (const message of messages) this.send(message);
    const after = messagesAfterPersist.filter((message) => {
      if (!this.isHasty(message)) return true;
      this.send(message);
      return false;
    });
    const last = this.writes.at(-1);
    if (write !== null) {
      const { number, hardState, entries } = write;
      this.writes.push({ number, hardState, entries, after });
    } else if (last !== undefined) {
      this.writes[this.writes.length - 1] = { ...last, after: [...last.after, ...after] };
    } else {
      for (const message of after) this.send(message);
    }
  }

  /** The planted bugs. */
  private isHasty({ type }: Message): boolean {
    if (this.options.plant === "votes at once") return type === "voted" || type === "vote";
    return this.options.plant === "acknowledges at once" && type === "appended";
  }

  private send(message: Message): void {
    if (message.type === "prevote" || message.type === "prevoted") return;
    if (this.options.promises) checkPromise(message, this.disk);
    this.sent.push(message);
  }
}

/** I7, I8: what a message promises is on its sender's disk. */
function checkPromise(m: Message, { hardState, entries }: Disk): void {
  const { term, vote } = hardState;
  assert(term >= m.term, () => `may forget term ${m.term}`);
  const knows = (granted: NodeId) => term > m.term || vote === granted;
  if (m.type === "vote") assert(knows(m.from), "may vote for another");
  if (m.type === "voted" && m.granted) assert(knows(m.to), "may vote again");
  if (m.type === "appended") assert(entries.length >= m.matched, "may forget what it acknowledges");
}

function written(disk: Disk, { hardState, entries }: Pick<Write, "hardState" | "entries">): Disk {
  const first = entries[0]?.index ?? disk.entries.length + 1;
  return {
    hardState: hardState ?? disk.hardState,
    entries: [...disk.entries.slice(0, first - 1), ...entries],
  };
}

/** The fields of a core that only say when, and what only counts. */
interface Clock {
  writes: { number: number; at: Millis }[];
  writeNumber: number;
  lastTickAt: Millis;
}

interface Keeping {
  round: { target: Index; startedAt: Millis };
}

/** Sets everything that depends on time to one moment, so that it makes no difference. */
function stopClock(core: Core, writes: readonly PendingWrite[]): readonly PendingWrite[] {
  const clock = core as unknown as Clock;
  core.now = NOW;
  core.electionAt = NOW;
  core.noVoteBefore = NOW;
  core.heardLeaderAt = null;
  core.round = 0;
  clock.lastTickAt = NOW;
  const before = clock.writeNumber - clock.writes.length;
  clock.writeNumber -= before;
  for (const write of clock.writes) {
    write.number -= before;
    write.at = NOW;
  }
  if (core.role.kind === "leader") {
    core.role = { ...core.role, since: NOW, heartbeatAt: NEVER };
    for (const progress of core.role.progress.values()) {
      progress.heardAt = NOW;
      progress.retryAt = NEVER;
      if (progress.commitDueAt !== null) progress.commitDueAt = NEVER;
      // Who keeps up matters to changes of the members only, and here there are none.
      progress.keepsUp = false;
      (progress as unknown as Keeping).round = { target: asIndex(0), startedAt: NOW };
    }
  }
  return writes.map((write) => {
    return { ...write, number: write.number - before, after: distinct(write.after) };
  });
}

/** They wait for the same, and the network may repeat and reorder them anyway. */
function distinct(messages: readonly Message[]): readonly Message[] {
  const byText = new Map(messages.map((message) => [describe(message), message]));
  return [...byText.keys()].sort().map((text) => byText.get(text) as Message);
}

/** What followers were told of commits decides only what a beat tells them. */
function forgetTold({ role }: Core): void {
  if (role.kind !== "leader") return;
  for (const progress of role.progress.values()) {
    progress.commitTold = asIndex(0);
    progress.commitDueAt = null;
  }
}

function makeDue({ role }: Core, event: "beat" | "silence"): void {
  if (role.kind !== "leader") return;
  role.heartbeatAt = NOW;
  for (const progress of role.progress.values()) {
    progress.retryAt = NOW;
    if (progress.commitDueAt !== null) progress.commitDueAt = NOW;
    if (event === "silence") progress.heardAt = (NOW - ELECTION_MS) as Millis;
  }
}

const EVENTS = ["deliver", "persist", "timeout", "silence", "beat", "propose", "crash"] as const;

/** A number for each event. */
export function keyOf(event: Event): number {
  return detailOf(event) * EVENTS.length + EVENTS.indexOf(event.type);
}

function detailOf(event: Event): number {
  switch (event.type) {
    case "deliver":
      return event.message;
    case "propose":
      return event.commands[0] ?? 0;
    case "crash":
      return event.kept;
    case "persist":
    case "timeout":
    case "silence":
    case "beat":
      return 0;
  }
}

/** The event of a number, as far as it must be told. */
export function eventOf(key: number): { readonly type: Event["type"]; readonly detail: number } {
  const type = EVENTS[key % EVENTS.length] as Event["type"];
  return { type, detail: Math.floor(key / EVENTS.length) };
}
