/** The examination of members, with real states: who is found wrong, by whom, and who never is. */
import { expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { KvStore } from "../../src/kv/store.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { RaftStatus } from "../../src/raft/raft.ts";
import type { Millis, NodeId, Term } from "../../src/raft/types.ts";
import type { Clock } from "../../src/service/clock.ts";
import { type Answered, DivergenceCheck } from "../../src/service/divergence.ts";
import { Examinee } from "../../src/service/examinee.ts";
import { LeaderWatch } from "../../src/service/leader-watch.ts";
import {
  decodeDigestQuestion,
  decodeDigestReply,
  type DigestQuestion,
  encodeDigestQuestion,
  encodeDigestReply,
} from "../../src/transport/digest-codec.ts";
import { PeerCallError } from "../../src/transport/peer-link.ts";
import { apply, chunksOf, compact, put, restore } from "../kv/fixtures.ts";
import { patch } from "../kv/patch.ts";

const term = 7 as Term;
const [n1, n2, n3, n4, n5] = ["n1", "n2", "n3", "n4", "n5"] as NodeId[] as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];

/** Time goes on where a test says so; work that is deferred is done soon. */
class TestClock implements Clock {
  #now = 0;
  #timer: (() => void) | null = null;
  #onTimer: () => void = () => {};

  now(): Millis {
    return this.#now as Millis;
  }

  after(ms: number, run: () => void): () => void {
    this.#timer = () => {
      this.#now += ms;
      run();
    };
    this.#onTimer();
    return () => {
      this.#timer = null;
    };
  }

  defer(run: () => void): void {
    setImmediate(run);
  }

  /** Lets the timer run out, and waits for the next one to be set. */
  async tick(): Promise<void> {
    const timer = must(this.#timer, "a timer is set");
    const next = new Promise<void>((resolve) => {
      this.#onTimer = resolve;
    });
    timer();
    await next;
  }
}

interface Node {
  readonly id: NodeId;
  readonly store: KvStore;
  readonly examinee: Examinee;
}

interface Plan {
  readonly voters: readonly NodeId[];
  readonly learners?: readonly NodeId[];
}

/** Members with equal states, the first of which leads. */
class Members {
  readonly nodes: readonly Node[];
  readonly wrong: NodeId[] = [];
  readonly stalemates: (readonly Answered[])[] = [];
  readonly questions: DigestQuestion[] = [];
  readonly silent = new Set<NodeId>();
  readonly leaders: LeaderWatch;
  readonly #clock = new TestClock();

  constructor({ voters, learners = [] }: Plan) {
    const clock = this.#clock;
    this.nodes = [...voters, ...learners].map((id) => {
      const store = new KvStore();
      const examinee = new Examinee({ store, clock, term: () => term });
      examinee.whenWrong(() => this.wrong.push(id));
      return { id, store, examinee };
    });
    const leader = this.node(n1);
    this.leaders = new LeaderWatch(n1);
    this.leaders.update({ term, role: "leader", leader: n1 });
    const configuration = configurationOf({ voters, learners });
    new DivergenceCheck({
      node: { status: () => ({ configuration }) as unknown as RaftStatus },
      store: leader.store,
      calls: { digest: (peer, question) => this.#ask(peer, question) },
      leaders: this.leaders,
      clock,
      examinee: leader.examinee,
      onStalemate: (answers) => this.stalemates.push(answers),
    }).start();
  }

  node(id: NodeId): Node {
    return must(this.nodes.find((node) => node.id === id) ?? null, `no ${id}`);
  }

  /** On all nodes, or on some. */
  write(name: string, value: string, ids: readonly NodeId[] = this.nodes.map(({ id }) => id)) {
    for (const id of ids) apply(this.node(id).store, put(name, value));
  }

  async rounds(count: number): Promise<void> {
    for (let left = count; left > 0; left--) await this.#clock.tick();
  }

  /** Rounds until somebody is wrong, at most so many. */
  async roundsUntilWrong(max: number): Promise<number> {
    for (let round = 1; round <= max; round++) {
      await this.rounds(1);
      if (this.wrong.length > 0) return round;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** As over the wire. */
  async #ask(peer: NodeId, asked: DigestQuestion) {
    const question = decodeDigestQuestion(encodeDigestQuestion(asked));
    this.questions.push(question);
    if (this.silent.has(peer)) throw new PeerCallError(peer, "it is silent", { sent: false });
    const answer = await this.node(peer).examinee.answer(question);
    return decodeDigestReply(encodeDigestReply(answer));
  }
}

const THREE: Plan = { voters: [n1, n2, n3] };
/** Four a second: with a node that fails in between, less than five seconds in all. */
const ROUNDS_MAX = 16;

test("equal states: nobody is wrong, whatever is written and compacted meanwhile", async () => {
  const members = new Members(THREE);
  for (let i = 0; i < 40; i++) {
    for (let j = 0; j < 30 * (i % 20); j++) members.write(`key/${j}`, `value ${i}`);
    const { revision } = members.node(n1).store;
    if (i % 7 === 6) for (const { store } of members.nodes) apply(store, compact(revision));
    await members.rounds(1);
  }
  await members.rounds(3);
  expect(members.wrong).toEqual([]);
  expect(members.stalemates).toEqual([]);
  for (const { store, examinee } of members.nodes) expect(examinee.agreed).toBe(store.commands);
});

test.each([n1, n2])("a value that nobody writes is changed in %s: it is wrong (D4)", async (id) => {
  const members = new Members(THREE);
  for (let i = 0; i < 100; i++) members.write(`key/${i}`, "a");
  await members.rounds(4);
  patch(members.node(id).store, "key/50", { stored: "b" });
  expect(await members.roundsUntilWrong(ROUNDS_MAX)).toBeLessThanOrEqual(ROUNDS_MAX);
  await members.rounds(4);
  expect(members.wrong).toEqual([id]);
  expect(members.stalemates).toEqual([]);
});

test.each([n1, n3])(
  "what a write came to was another thing in %s: it is wrong (D4)",
  async (id) => {
    const members = new Members(THREE);
    members.write("key", "a");
    await members.rounds(4);
    patch(members.node(id).store, "key", { version: 7 });
    members.write("key", "b");
    expect(await members.roundsUntilWrong(ROUNDS_MAX)).toBeLessThanOrEqual(ROUNDS_MAX);
    await members.rounds(4);
    expect(members.wrong).toEqual([id]);
  },
);

test.each(["key/00000", "key/08999"])(
  "the walk comes to every key, and begins anew, while others are written over: %s (D4)",
  async (victim) => {
    const members = new Members(THREE);
    const name = (i: number) => `key/${String(i).padStart(5, "0")}`;
    for (let i = 0; i < 9_000; i++) members.write(name(i), "a");
    await members.rounds(13);
    patch(members.node(n3).store, victim, { stored: "b" });
    for (let round = 0; round < 16 && members.wrong.length === 0; round++) {
      for (let i = 100; i < 600; i++) members.write(name(i), "c");
      await members.rounds(1);
    }
    expect(members.wrong).toEqual([n3]);
    const starts = members.questions.map(({ start }) => start.length);
    expect(starts.filter((length) => length === 0).length).toBeGreaterThan(2);
    expect(starts.filter((length) => length > 0).length).toBeGreaterThan(2);
  },
);

test("two against one another, and the third silent: nobody is wrong, and it is told", async () => {
  const members = new Members(THREE);
  members.write("key", "a");
  members.silent.add(n3);
  await members.rounds(4);
  expect(members.stalemates).toEqual([]);
  patch(members.node(n2).store, "key", { stored: "b" });
  await members.rounds(8);
  expect(members.wrong).toEqual([]);
  expect(members.stalemates.length).toBeGreaterThan(0);
  members.silent.delete(n3);
  await members.rounds(4);
  expect(members.wrong).toEqual([n2]);
});

test("of five, two that agree are no majority, whoever is silent", async () => {
  const members = new Members({ voters: [n1, n2, n3, n4, n5] });
  members.write("key", "a");
  members.silent.add(n4);
  members.silent.add(n5);
  patch(members.node(n3).store, "key", { stored: "b" });
  await members.rounds(8);
  expect(members.wrong).toEqual([]);
  members.silent.delete(n5);
  await members.rounds(4);
  expect(members.wrong).toEqual([n3]);
});

test("three states: nobody is wrong", async () => {
  const members = new Members(THREE);
  members.write("key", "a");
  patch(members.node(n2).store, "key", { stored: "b" });
  patch(members.node(n3).store, "key", { stored: "c" });
  await members.rounds(8);
  expect(members.wrong).toEqual([]);
  expect(members.stalemates.length).toBeGreaterThan(0);
});

test("learners do not decide what is right, and can be wrong", async () => {
  const members = new Members({ voters: [n1, n2], learners: [n3, n4, n5] });
  members.write("key", "a");
  patch(members.node(n2).store, "key", { stored: "b" });
  await members.rounds(8);
  expect(members.wrong).toEqual([]);
  patch(members.node(n2).store, "key", { stored: "a" });
  patch(members.node(n4).store, "key", { stored: "b" });
  await members.rounds(8);
  expect(members.wrong).toEqual([n4]);
});

test("who is behind, or has begun with a snapshot, is compared as soon as it can be", async () => {
  const members = new Members(THREE);
  for (let i = 0; i < 1_000; i++) members.write("key", String(i), [n1, n2]);
  await members.rounds(8);
  const { store, examinee } = members.node(n3);
  expect(examinee.agreed).toBeNull();
  restore(store, chunksOf(members.node(n1).store));
  for (let i = 0; i < 3; i++) {
    members.write("key", "later");
    await members.rounds(3);
  }
  expect(members.wrong).toEqual([]);
  expect(examinee.agreed).toBe(1_003);
  patch(store, "key", { version: 5 });
  members.write("key", "last");
  await members.rounds(4);
  expect(members.wrong).toEqual([n3]);
});

test("a verdict about another question, or of another leader, means nothing", async () => {
  const members = new Members(THREE);
  members.write("key", "a");
  const { examinee } = members.node(n2);
  const about = { place: 1, start: new Uint8Array(), revision: 2 };
  const answer = await examinee.answer({ ...about, term, round: 1, verdict: null });
  const other = { chain: "00000000000000ff", page: "00000000000000ff" };
  const say = (said: Partial<DigestQuestion>, round: number) =>
    examinee.answer({ ...about, term, round: 2, verdict: { ...other, round }, ...said });
  await say({}, 9);
  expect(members.wrong).toEqual([]);
  await say({ term: 8 as Term, round: 3 }, 2);
  expect(members.wrong).toEqual([]);
  const old = await say({ term: 6 as Term, round: 4 }, 3);
  expect([members.wrong, old.chain, old.page]).toEqual([[], null, null]);
  expect((await say({ verdict: null }, 0)).chain).toBe(answer.chain);
  await say({ verdict: { round: 2, chain: null, page: null } }, 2);
  await say({}, 2);
  expect(members.wrong).toEqual([n2]);
  // It says nothing any more, and is condemned once.
  expect(await say({}, 2)).toEqual({ chain: null, page: null, next: null });
  expect(members.wrong).toEqual([n2]);
});

test("only who leads asks, and a new leader begins anew", async () => {
  const members = new Members(THREE);
  members.write("key", "a");
  await members.rounds(3);
  expect(members.questions.at(-1)?.round).toBe(2);
  const count = members.questions.length;
  members.leaders.update({ term, role: "follower", leader: n2 });
  await members.rounds(3);
  expect(members.questions.length).toBe(count);
  members.leaders.update({ term: 9 as Term, role: "leader", leader: n1 });
  await members.rounds(2);
  expect(members.questions.at(-1)).toMatchObject({ term: 9, round: 1, verdict: null });
});
