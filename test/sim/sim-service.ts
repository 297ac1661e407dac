/**
 * The production service on a simulated node: what clients ask, and what nodes ask each other.
 *
 * It speaks in promises, which go on by themselves. So whatever may settle one says so, and the
 * simulation lets all of them run before the next event: one seed stays one history.
 */
import { assert, must } from "../../src/lib/assert.ts";
import type { RaftStatus } from "../../src/raft/raft.ts";
import type { Millis, NodeId } from "../../src/raft/types.ts";
import {
  acceptForward,
  acceptMembers,
  acceptRead,
  type AskedNode,
} from "../../src/service/answers.ts";
import type { Clock } from "../../src/service/clock.ts";
import { DivergenceCheck } from "../../src/service/divergence.ts";
import type { Examinee } from "../../src/service/examinee.ts";
import { KvService, type KvServiceDeps, type ServedNode } from "../../src/service/kv-service.ts";
import { LeaderWatch } from "../../src/service/leader-watch.ts";
import type { PeerCalls } from "../../src/transport/call.ts";
import { PeerCallError } from "../../src/transport/peer-link.ts";
import type { EventQueue } from "./events.ts";
import type { SimNetwork } from "./network.ts";
import type { Life, SimNode } from "./sim-node.ts";

export interface SimServicesDeps {
  readonly events: EventQueue;
  readonly network: SimNetwork;
  readonly electionMs: number;
}

interface Served {
  readonly generation: number;
  readonly service: KvService;
  readonly leaders: LeaderWatch;
}

/** So short that they matter in a run of seconds. */
const RETENTION = { ageMs: 2_000, bytesMax: 2_000 };

/** The service of each node that runs. */
export class SimServices {
  /** A promise may have been settled since this was last looked at. */
  hasSettled = false;
  /** What nodes have found wrong with their states, which all are right (D4). */
  private readonly accusations: string[] = [];
  private readonly deps: SimServicesDeps;
  private readonly served = new Map<NodeId, Served>();
  private readonly nodes = new Map<NodeId, SimNode>();

  constructor(deps: SimServicesDeps) {
    this.deps = deps;
  }

  /** Of a process that has begun to run. */
  start(node: SimNode, life: Life): void {
    this.nodes.set(node.id, node);
    const { generation } = node;
    const clock = this.clockOf(node, generation);
    const leaders = new LeaderWatch(node.id);
    const watched = this.watched(life);
    const calls = this.callsOf(node, generation);
    const { store } = life;
    const service = new KvService({
      node: watched,
      store,
      calls,
      leaders,
      clock,
      limits: {
        writes: { writesMax: 100, bytesMax: 1_000_000 },
        callTimeoutMs: 4 * this.deps.electionMs,
        retention: RETENTION,
      },
      clientUrlOf: () => null,
      scrubStatus: () => life.scrub.counters(),
    });
    this.served.set(node.id, { generation, service, leaders });
    service.start();
    const { examinee } = service;
    examinee.whenWrong((where) => this.accusations.push(`${node.id} ${where}`));
    new DivergenceCheck({
      node: watched,
      store,
      calls,
      leaders,
      clock,
      examinee,
      onStalemate: (answers) => this.accusations.push(JSON.stringify(answers)),
    }).start();
  }

  /** Nobody was found to be wrong. */
  check(): void {
    const [first] = this.accusations;
    assert(first === undefined, () => `a state that is right is called wrong: ${first}`);
  }

  changed(node: SimNode, now: RaftStatus): void {
    this.hasSettled = true;
    this.of(node)?.leaders.update(now);
  }

  /** Null: the process does not run. */
  serviceOf(node: SimNode): KvService | null {
    return this.of(node)?.service ?? null;
  }

  private of({ id, generation, life }: SimNode): Served | null {
    const served = this.served.get(id);
    return life !== null && served?.generation === generation ? served : null;
  }

  private settles<Args extends readonly unknown[]>(run: (...args: Args) => void) {
    return (...args: Args): void => {
      this.hasSettled = true;
      run(...args);
    };
  }

  private watched({ node }: Life): ServedNode {
    return {
      status: () => node.status(),
      submit: (data, taken) => node.submit(data, this.settles(taken)),
      whenApplied: (position, done) =>
        node.whenApplied(
          position,
          this.settles((outcome) => done(outcome)),
        ),
      readIndex: (done, proof) => node.readIndex(this.settles(done), proof),
      whenReached: (index, done) => node.whenReached(index, this.settles(done)),
      change: (changes, taken) => node.change(changes, this.settles(taken)),
      transfer: (target, begun) => node.transfer(target, this.settles(begun)),
      inForce: () => node.inForce(),
      fateOf: (position) => node.fateOf(position),
      awaitCommit: (peer, index) => node.awaitCommit(peer, index),
      freeze: () => node.freeze(),
      saveSnapshot: (done) => node.saveSnapshot(this.settles(done)),
    };
  }

  private clockOf(node: SimNode, generation: number): Clock {
    const { events } = this.deps;
    return {
      now: () => (events.now * node.clockRate) as Millis,
      after: (ms, run) => {
        let isWanted = true;
        const due = () =>
          node.run(
            generation,
            this.settles(() => isWanted && run()),
          );
        events.after(ms / node.clockRate, () => isWanted && due());
        return () => {
          isWanted = false;
        };
      },
      defer: (run) => events.after(0, () => node.run(generation, this.settles(run))),
    };
  }

  private callsOf(
    node: SimNode,
    generation: number,
  ): KvServiceDeps["calls"] & Pick<PeerCalls, "digest"> {
    const call = <Reply>(
      peer: NodeId,
      timeoutMs: number,
      ask: (asked: AskedNode, examinee: Examinee) => Promise<Reply>,
    ) => this.call({ node, generation, peer, timeoutMs, ask });
    return {
      forward: (peer, proposals, timeoutMs) =>
        call(peer, timeoutMs, (asked) => acceptForward(asked, { from: node.id, proposals })),
      readIndex: (peer, timeoutMs, options) =>
        call(peer, timeoutMs, (asked) =>
          acceptRead(asked, options?.mayLease === true ? "lease" : "quorum"),
        ),
      members: (peer, question, timeoutMs) =>
        call(peer, timeoutMs, (asked) => acceptMembers(asked, { from: node.id, question })),
      digest: (peer, question, timeoutMs) =>
        call(peer, timeoutMs, (_asked, examinee) => examinee.answer(question)),
    };
  }

  /** A connection repeats nothing; the question or the answer may be lost. */
  private call<Reply>({ node, generation, peer, timeoutMs, ask }: Call<Reply>): Promise<Reply> {
    const { network, events } = this.deps;
    return new Promise((resolve, reject) => {
      const fail = (text: string, sent: boolean) => () =>
        node.run(
          generation,
          this.settles(() => reject(new PeerCallError(peer, text, { sent }))),
        );
      if (!network.isConnected(peer)) return events.after(1, fail("no connection", false));
      events.after(timeoutMs, fail("no answer in time", true));
      const answer = (reply: Reply) =>
        network.deliver(
          peer,
          node.id,
          () =>
            node.run(
              generation,
              this.settles(() => resolve(reply)),
            ),
          { once: true },
        );
      network.deliver(
        node.id,
        peer,
        () => {
          const other = this.nodes.get(peer);
          const asked = other?.life;
          if (other === undefined || !asked) return;
          const { examinee } = must(this.serviceOf(other), "it runs, and so it serves");
          const watched = {
            ...this.watched(asked),
            awaitCommit: asked.node.awaitCommit.bind(asked.node),
          };
          other.run(
            other.generation,
            this.settles(() => void ask(watched, examinee).then(answer)),
          );
        },
        { once: true },
      );
    });
  }
}

interface Call<Reply> {
  readonly node: SimNode;
  readonly generation: number;
  readonly peer: NodeId;
  readonly timeoutMs: number;
  readonly ask: (asked: AskedNode, examinee: Examinee) => Promise<Reply>;
}
