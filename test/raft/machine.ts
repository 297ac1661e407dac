/**
 * One node of a script: a real Raft, its disk, its clock, and the duties of a driver, which it
 * carries out one after the other, in the order that `Ready` prescribes. Everything it does is told
 * to `world`, and the invariants are checked after every step.
 */
import type { Random } from "../../src/lib/random.ts";
import type { RaftOptions } from "../../src/raft/core.ts";
import { captureState, checkBasic, checkDelta } from "../../src/raft/invariants.ts";
import type { Input, Message, Ready, Write } from "../../src/raft/message.ts";
import { Raft } from "../../src/raft/raft.ts";
import {
  asIndex,
  type ClusterTime,
  type Configuration,
  type Millis,
  type NodeId,
  type Position,
  type SnapshotMeta,
} from "../../src/raft/types.ts";
import { showContent, showEntries, showMessage, showPosition } from "./notation.ts";
import type { Oracle } from "./oracle.ts";
import { ScriptDisk } from "./script-disk.ts";

/** What a script may set before its nodes start: all of RaftOptions that is not one node's own. */
export type SharedOptions = Omit<RaftOptions, "id" | "random" | "bootstrap">;

export interface World {
  readonly options: SharedOptions;
  readonly bootstrap: Configuration;
  readonly oracle: Oracle;
  /** Takes a message that left a node. Returns what to add to its line: a mark if it is lost. */
  send(message: Message): string;
  print(line: string): void;
  readName(token: number): string;
}

interface QueuedWrite {
  readonly write: Write;
  readonly after: Message[];
}

/** Campaign rounds of one life begin this far from those of the life before. */
const ROUNDS_A_LIFE = 100;

export class Machine {
  readonly id: NodeId;
  readonly disk: ScriptDisk;
  /** Null: it is down. */
  raft: Raft | null = null;
  now = 0 as Millis;
  /** Election timeouts are `electionMs` and this. */
  jitterMs: number;
  /** Its writes end only when the script says so. */
  async = false;
  /** It neither receives nor notices that time goes by. */
  paused = false;
  /** The numbers of all transfers of snapshots to each peer. */
  readonly transfers = new Map<NodeId, number[]>();
  private lives = 0;
  private queue: QueuedWrite[] = [];
  private shown = "";
  private readonly world: World;

  constructor(world: World, place: { id: NodeId; disk: ScriptDisk; jitterMs: number }) {
    this.world = world;
    this.id = place.id;
    this.disk = place.disk;
    this.jitterMs = place.jitterMs;
  }

  get isUp(): boolean {
    return this.raft !== null;
  }

  get runs(): boolean {
    return this.raft !== null && !this.paused;
  }

  get isWriting(): boolean {
    return this.queue.length > 0;
  }

  start(): void {
    const random: Random = {
      below: (bound) => {
        const forElection = bound === this.world.options.electionMs;
        return forElection ? Math.min(this.jitterMs, bound - 1) : this.lives * ROUNDS_A_LIFE;
      },
    };
    const { options, bootstrap } = this.world;
    const saved = this.disk.recover();
    this.raft = new Raft({ ...options, id: this.id, bootstrap, random }, saved, this.now);
    this.lives += 1;
    checkBasic(this.raft);
    this.settle();
  }

  /** Loses everything that is not on the disk. */
  crash(): void {
    this.raft = null;
    this.queue = [];
    this.world.print(`${this.id} is down`);
    this.shown = "";
  }

  step(input: Input): void {
    this.act((raft) => raft.step(input, this.now));
  }

  /** Time goes by, and the node does not run: it is stopped, or collects garbage. */
  sleep(ms: number): void {
    this.now = (this.now + ms) as Millis;
  }

  tick(ms: number): void {
    this.sleep(ms);
    this.step({ type: "tick" });
  }

  /** Does something with the Raft, then everything that follows from it. */
  act(action: (raft: Raft) => void): void {
    this.check(action);
    this.settle();
  }

  /** Ends the `count` oldest writes, one after the other. */
  persist(count: number): void {
    for (const { write } of this.queue.slice(0, count)) {
      this.world.print(`${this.id} has saved #${write.number}`);
      this.complete();
      this.settle();
    }
  }

  /** A snapshot of what is applied now. The log is kept from after `compactTo`; null: none. */
  snapshot(compactTo: number | null): void {
    const meta = this.raft?.snapshotMeta() ?? null;
    if (meta === null) throw new Error(`${this.id} has nothing new to snapshot`);
    this.saveSnapshot(meta, compactTo ?? meta.index);
  }

  /** A snapshot that was begun when `position` was applied gets finished only now. */
  finishSnapshot(position: Position): void {
    const { bootstrap } = this.world;
    this.saveSnapshot({ ...position, time: 0 as ClusterTime, configuration: bootstrap }, 0);
  }

  private saveSnapshot(meta: SnapshotMeta, compactTo: number): void {
    this.act((raft) => {
      const saved = { type: "snapshotSaved", meta, compactTo: asIndex(compactTo) } as const;
      raft.step({ ...saved, isUrgent: false }, this.now);
      const { snapshot, log } = raft.core;
      if (snapshot === meta) this.disk.saveSnapshot(meta, log.base);
      this.world.print(`${this.id} has a snapshot of ${showPosition(meta)}`);
    });
  }

  /** `n1@3 follower(n2) last=5@3 commit=5`, and what is unusual. */
  state(): string {
    if (this.raft === null) return `${this.id} is down`;
    const { log, role, term } = this.raft.core;
    const leader = role.kind === "follower" && role.leader !== null ? `(${role.leader})` : "";
    const first = log.base.index > 0 ? ` first=${log.base.index + 1}` : "";
    const durable = log.durable < log.lastIndex ? ` disk=${log.durable}` : "";
    const applied = log.applied < log.committed ? ` applied=${log.applied}` : "";
    const doubt = this.raft.core.doubt === null ? "" : " in-doubt";
    const last = `last=${log.lastIndex}@${log.lastTerm} commit=${log.committed}`;
    return `${this.id}@${term} ${role.kind}${leader}${doubt}${first} ${last}${applied}${durable}`;
  }

  /** How far the leader believes the others to be: `n2 replicate 5→6`, matched and next. */
  progress(): readonly string[] {
    const role = this.raft?.core.role;
    if (role?.kind !== "leader") return [];
    return [...role.progress].map(([id, { mode, matched, next, unanswered, doubt }]) => {
      const trust = doubt === null ? "" : " in-doubt";
      return `  ${id} ${mode} ${matched}→${next}${unanswered ? " waiting" : ""}${trust}`;
    });
  }

  private check(action: (raft: Raft) => void): void {
    const { raft } = this;
    if (raft === null) throw new Error(`${this.id} is down`);
    const before = captureState(raft);
    action(raft);
    checkBasic(raft);
    checkDelta(before, raft);
    this.world.oracle.sawRole(raft);
  }

  /** Drains until there is nothing to do but wait. */
  private settle(): void {
    const effects: string[] = [];
    const tell = (line: string) => effects.push(`  ${line}`);
    for (let more = true; more; ) {
      more = this.drain(tell);
      if (!this.async && this.isWriting) {
        this.complete(tell);
        more = true;
      }
    }
    if (this.raft?.core.doubt === null && !this.isWriting) this.disk.trust();
    const state = this.state();
    if (state !== this.shown || effects.length > 0) this.world.print(state);
    this.shown = state;
    for (const line of this.late.splice(0)) this.world.print(line);
    for (const line of effects) this.world.print(line);
  }

  /** Effects of a write that ended before the drain in which they are shown. */
  private readonly late: string[] = [];

  private complete(tell: (line: string) => void = (line) => this.late.push(`  ${line}`)): void {
    const done = this.queue.shift();
    if (done === undefined) return;
    this.disk.write(done.write);
    for (const message of done.after) this.release(message, (line) => tell(`then ${line}`));
    this.check((raft) => raft.step({ type: "persisted", write: done.write.number }, this.now));
  }

  /** One round of a driver's duties. Returns whether there is more to do at once. */
  private drain(tell: (line: string) => void): boolean {
    const readies: Ready[] = [];
    this.check((raft) => readies.push(raft.drain()));
    const [ready] = readies;
    if (ready === undefined || this.raft === null) return false;
    const { core } = this.raft;
    for (const message of ready.messages) this.release(message, tell);
    if (ready.write !== null) {
      this.queue.push({ write: ready.write, after: [] });
      tell(this.showWrite(ready.write));
    }
    const newest = this.queue.at(-1);
    for (const message of ready.messagesAfterPersist) {
      if (newest === undefined) this.release(message, (line) => tell(`then ${line}`));
      else newest.after.push(message);
    }
    if (ready.restore !== null) tell(`restore ${showPosition(ready.restore)}`);
    for (const entry of ready.committed) {
      this.world.oracle.sawApplied(entry, core.configurations.at(entry.index));
    }
    if (ready.committed.length > 0) {
      tell(`apply ${ready.committed.map((entry) => entry.index + showContent(entry)).join()}`);
    }
    for (const { token, index } of ready.reads) {
      tell(`read ${this.world.readName(token)} at ${index}`);
    }
    for (const token of ready.readsLost) tell(`lost ${this.world.readName(token)}`);
    for (const { peer: to, transfer } of ready.snapshotsTo) {
      this.transfers.set(to, [...(this.transfers.get(to) ?? []), transfer]);
      const meta = core.snapshot;
      if (meta === null) throw new Error("a snapshot is wanted where there is none");
      this.release({ from: this.id, to, term: core.term, type: "snapshot", meta }, tell);
    }
    return ready.moreCommitted;
  }

  private release(message: Message, tell: (line: string) => void): void {
    this.world.oracle.sawSent(message);
    tell(showMessage(message) + this.world.send(message));
  }

  private showWrite({ number, hardState, reset, entries }: Write): string {
    const parts = ["save"];
    if (this.async) parts.push(`#${number}`);
    if (hardState !== null) parts.push(`term=${hardState.term} vote=${hardState.vote ?? "-"}`);
    if (reset !== null) parts.push(`snapshot=${showPosition(reset)}`);
    if (entries.length > 0) parts.push(showEntries(entries));
    return parts.join(" ");
  }
}
