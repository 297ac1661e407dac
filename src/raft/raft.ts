/**
 * One Raft node, as a pure and synchronous machine: inputs go in by `step`, `propose` and `read`,
 * and `drain` says what is to be done about them. No disk, no network, no clock, no randomness of
 * its own, so that a run is a function of its inputs.
 */
import { unreachable } from "../lib/assert.ts";
import { countOwnVote, onPrevoted, onVoted } from "./candidate.ts";
import { Core, type RaftOptions, type Role } from "./core.ts";
import { type FollowerStatus, followersOf } from "./followers.ts";
import {
  endDoubt,
  mayVote,
  onAppend,
  onCommit,
  onFollowerTick,
  onHeartbeat,
  onPrevote,
  onSnapshot,
  onTimeoutNow,
  onVote,
} from "./follower.ts";
import {
  awaitCommit,
  heldAfterSnapshots,
  leaderDrain,
  onAppended,
  onHeard,
  onLeaderTick,
  onRefused,
  onRejoin,
  onSnapshotSent,
  onUnreachable,
  propose,
  quorumContact,
} from "./leader.ts";
import type { MemberChange } from "./change.ts";
import type { Input, Message, Ready, Refusal, SnapshotSaved } from "./message.ts";
import { changeMembers, type ChangeRefusal, type ChangeTaken } from "./reconfigure.ts";
import type { Saved } from "./saved.ts";
import { handOver, startTransfer, type TransferRefusal } from "./transfer.ts";
import {
  asIndex,
  type ClusterTime,
  type Configuration,
  type Index,
  type Millis,
  type NodeId,
  type Position,
  type SnapshotMeta,
  type Term,
} from "./types.ts";

/** What anybody may know about a node at a moment. */
export interface RaftStatus {
  readonly id: NodeId;
  readonly term: Term;
  readonly role: Role["kind"];
  readonly leader: NodeId | null;
  readonly firstIndex: Index;
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  readonly committed: Index;
  readonly applied: Index;
  readonly logBytes: number;
  readonly snapshotIndex: Index;
  readonly configuration: Configuration;
  /** Which entry brought the configuration, or a place up to which it was in force already. */
  readonly configurationIndex: Index;
  /** At the leader, how far each member is, itself among them; elsewhere null. */
  readonly followers: readonly FollowerStatus[] | null;
  /** To whom leadership is being handed over. */
  readonly transferTo: NodeId | null;
  /**
   * Milliseconds since a leader was last heard or, by this node as the leader, a quorum was. Null:
   * never since the start.
   */
  readonly lastContactMs: number | null;
  /** At the leader: what an entry would be stamped with. Elsewhere: the time of the last entry. */
  readonly clusterTime: ClusterTime;
  /** It may have promised what it does not know: it neither votes nor counts. */
  readonly inDoubt: boolean;
  /** Which entry has ended its doubt, if it was in doubt in the life of this process. */
  readonly rejoined: Index | null;
  /** A write takes so long that the node neither leads nor helps to elect a leader. */
  readonly diskHangs: boolean;
}

export class Raft {
  /** The state, for checkers and tests. Nobody else may touch it. */
  readonly core: Core;
  /** What `lastContactMs` counts from, while this node does not lead. Decides nothing. */
  private contactAt: number | null = null;

  /** Goes on from what is on disk. `saved` and `now` are the first inputs. */
  constructor(options: RaftOptions, saved: Saved, now: Millis) {
    this.core = new Core(options, saved, now);
  }

  /**
   * From now on this node is in doubt, under an incarnation that it never had before. Only before
   * the first input.
   */
  enterDoubt(incarnation: string): void {
    this.core.enterDoubt(incarnation);
  }

  /** Takes one input. What it leads to is told by `drain`. */
  step(input: Input, now: Millis): void {
    const { core } = this;
    // `take` may put another in its place, and whom this one had heard would be forgotten.
    const { role } = core;
    core.now = now;
    this.take(input);
    if (core.doubt !== null) endDoubt(core);
    this.noteContact(role);
  }

  /** Terms and roles come and go, but what was heard under the old ones was heard. */
  private noteContact(before: Role): void {
    const { heardLeaderAt, now, role } = this.core;
    if (heardLeaderAt !== null) this.contactAt = heardLeaderAt;
    else if (before.kind === "leader" && role.kind !== "leader") {
      this.contactAt = quorumContact(this.core, before, now);
    }
  }

  private take(input: Input): void {
    const { core } = this;
    switch (input.type) {
      case "tick":
        return this.onTick();
      case "message":
        return this.onMessage(input.message);
      case "persisted":
        core.persisted(input.write);
        return countOwnVote(core);
      case "unreachable":
        if (core.role.kind === "leader") onUnreachable(core.role, input.peer);
        return;
      case "snapshotSent":
        if (core.role.kind === "leader") onSnapshotSent(core, core.role, input);
        return;
      case "snapshotSaved":
        return onSnapshotSaved(core, input);
      default:
        return unreachable(input);
    }
  }

  /**
   * Takes commands into the log, all or none, and returns where the first of them stands. They are
   * committed when, and only when, an entry with that index and term comes out of `drain`. A
   * refusal is certain: none of them will ever be applied.
   */
  propose(data: readonly Uint8Array[], now: Millis): Position | Refusal {
    this.core.now = now;
    return propose(this.core, data);
  }

  /**
   * Changes who is a member, all wishes together or none. It is in force as soon as it is in the
   * log, and done when the configuration is not joint and committed.
   */
  change(changes: readonly MemberChange[], now: Millis): ChangeTaken | ChangeRefusal {
    this.core.now = now;
    return changeMembers(this.core, changes);
  }

  /** Hands leadership over; see `startTransfer`. */
  transfer(target: NodeId | null, now: Millis): { readonly target: NodeId } | TransferRefusal {
    this.core.now = now;
    return startTransfer(this.core, target);
  }

  /** Leads no more: whoever has most of the log is asked to stand for election at once. */
  resign(): void {
    const { core } = this;
    if (core.role.kind === "leader") handOver(core, core.role);
    else core.becomeFollower(core.term);
  }

  /** The peer wants to hear at once that the entry at `index` is committed. */
  awaitCommit(peer: NodeId, index: Index): void {
    const { role } = this.core;
    if (role.kind === "leader") awaitCommit(role, peer, index);
  }

  /**
   * Asks for a linearizable read. False: not the leader. Otherwise `drain` will name the token
   * once, among `reads` or `readsLost`. `lease` not null: the leader's lease will do, if it has one
   * at this moment, which must not be before the read was asked for. That is as good as the bound
   * on how much clocks differ in speed.
   */
  read(token: number, lease: { readonly now: Millis } | null = null): boolean {
    if (lease !== null) this.core.now = lease.now;
    if (this.core.role.kind !== "leader") return false;
    this.core.reads.add(token, lease !== null);
    return true;
  }

  /** Everything to be done since the last call, each thing once. */
  drain(): Ready {
    const { core } = this;
    if (core.role.kind === "leader") leaderDrain(core, core.role);
    const ready: Ready = {
      messages: core.outbox,
      write: core.takeWrite(),
      messagesAfterPersist: core.outboxAfterPersist,
      restore: core.restore,
      committed: core.log.takeCommitted(core.options.applyEntriesMax),
      moreCommitted: core.log.hasCommitted,
      reads: core.confirmedReads,
      readsLost: core.lostReads,
      snapshotsTo: core.snapshotsTo,
    };
    core.outbox = [];
    core.outboxAfterPersist = [];
    core.restore = null;
    core.confirmedReads = [];
    core.lostReads = [];
    core.snapshotsTo = [];
    return ready;
  }

  /** The node as it is at `now`, which may be later than its last input. */
  status(now: Millis): RaftStatus {
    const { core } = this;
    const { log } = core;
    const contact =
      core.role.kind === "leader" ? quorumContact(core, core.role, now) : this.contactAt;
    return {
      id: core.id,
      term: core.term,
      role: core.role.kind,
      leader: core.leader,
      firstIndex: (log.base.index + 1) as Index,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      committed: log.committed,
      applied: log.applied,
      logBytes: log.bytes,
      snapshotIndex: core.snapshot?.index ?? (0 as Index),
      configuration: core.configuration,
      configurationIndex: core.configurations.index,
      followers: followersOf(core, now),
      transferTo: core.role.kind === "leader" ? (core.role.transfer?.target ?? null) : null,
      lastContactMs: contact === null ? null : now - contact,
      clusterTime: core.clusterTime(),
      inDoubt: core.doubt !== null,
      rejoined: core.rejoined,
      diskHangs: core.diskHangsAt(now),
    };
  }

  /**
   * What a snapshot of the state as applied now stands for. Null: it would be no newer; or nobody
   * knows who the members were then, as whoever joins begins with those that came later (M6).
   */
  snapshotMeta(): SnapshotMeta | null {
    const { log, snapshot, configurations, since } = this.core;
    if (log.applied <= (snapshot?.index ?? 0)) return null;
    const { index, term, time } = log.entryAt(log.applied);
    const inForce = configurations.itemAt(index);
    if (since > 0 && inForce.index === 0) return null;
    return { index, term, time, configuration: inForce.configuration };
  }

  private onTick(): void {
    const { core } = this;
    const stalledMs = core.noteTick();
    if (core.role.kind === "leader") onLeaderTick(core, core.role, stalledMs);
    else onFollowerTick(core);
  }

  private onMessage(m: Message): void {
    const { core } = this;
    // A request for a vote does not even raise the term where it would not be granted for a
    // leader's sake; a pre-vote never does, nor is its answer bound to a term: it has its round.
    if (m.type === "prevote") return onPrevote(core, m);
    if (m.type === "vote" && m.term > core.term && !mayVote(core, m.isTransfer)) return;
    if (m.term > core.term) core.becomeFollower(m.term);
    if (m.type === "prevoted") return onPrevoted(core, m);
    if (m.term < core.term) return this.onOldMessage(m);
    this.onCurrentMessage(m);
  }

  /** Answers a voice from the past, where an answer helps it to find the present. */
  private onOldMessage(m: Message): void {
    const { core } = this;
    if (m.type === "vote") {
      core.reply(m.from, { type: "voted", granted: false });
    } else if (m.type === "append" || m.type === "heartbeat" || m.type === "snapshot") {
      core.reply(m.from, { type: "stale" });
    }
  }

  private onCurrentMessage(m: Exclude<Message, { type: "prevote" | "prevoted" }>): void {
    const { core } = this;
    const { role } = core;
    switch (m.type) {
      case "vote":
        return onVote(core, m);
      case "voted":
        return onVoted(core, m);
      case "append":
        return onAppend(core, m);
      case "heartbeat":
        return onHeartbeat(core, m);
      case "commit":
        return onCommit(core, m);
      case "snapshot":
        return onSnapshot(core, m);
      case "timeoutNow":
        return onTimeoutNow(core, m);
      case "appended":
      case "copied":
        if (role.kind === "leader") onAppended(core, role, m);
        return;
      case "refused":
        if (role.kind === "leader") onRefused(core, role, m);
        return;
      case "heard":
        if (role.kind === "leader") onHeard(core, role, m);
        return;
      case "rejoin":
        if (role.kind === "leader") onRejoin(core, role, m);
        return;
      case "stale":
        return;
      default:
        return unreachable(m);
    }
  }
}

/** The log before the snapshot is not needed any more, unless a newer snapshot came meanwhile. */
function onSnapshotSaved(core: Core, { meta, compactTo, isUrgent }: SnapshotSaved): void {
  if (core.snapshot !== null && meta.index < core.snapshot.index) return;
  core.snapshot = meta;
  core.configurations.compactTo(meta.index);
  const { role } = core;
  const keeps = role.kind === "leader" && !isUrgent;
  const held = keeps ? heldAfterSnapshots(core, role) : compactTo;
  core.log.compactTo(asIndex(Math.min(compactTo, held)), meta);
}
