/** Clients of the store in a simulated cluster, and the history of what they were told. */
import { must } from "../../src/lib/assert.ts";
import { bytesOf, byteString } from "../../src/lib/bytes.ts";
import { type Condition, encodeCommand } from "../../src/kv/command.ts";
import { type Key, keyOf } from "../../src/kv/key.ts";
import type { Operation, Out } from "../checker/history.ts";
import type { SimNode } from "../sim/sim-node.ts";
import type { Cluster, Told } from "./harness.ts";

/** How long a client waits before it turns to another node. */
const TIMEOUT_MS = 1_000;
const RETRY_MS = 20;

/** What clients do. */
export interface Load {
  readonly clients: number;
  readonly keys: number;
}

type Question = Pick<Operation, "client" | "key" | "op" | "in">;
type Answer = Pick<Operation, "outcome" | "out">;

export class Clients {
  readonly operations: Operation[] = [];
  private readonly cluster: Cluster;
  private readonly load: Load;
  private isOver = true;
  private active = 0;
  private rounds = 0;
  private nextValue = 0;

  constructor(cluster: Cluster, load: Load) {
    this.cluster = cluster;
    this.load = load;
  }

  /** All clients work for so long, and then end what they have begun. */
  work(ms: number): void {
    this.isOver = false;
    this.rounds += 1;
    for (let client = 0; client < this.load.clients; client++) {
      this.active += 1;
      this.next({ name: `${this.rounds}/${client}`, node: client, version: 0 });
    }
    this.cluster.run(ms);
    this.isOver = true;
    this.cluster.until(() => this.active === 0, 2 * TIMEOUT_MS);
  }

  /** Writes the key at this node, on condition of its version unless that is null. */
  put(client: Client, key: string, ifVersion: number | null, done: (answer: Answer) => void): void {
    const value = `${client.name}:${this.nextValue++}`;
    const conditions: Condition[] =
      ifVersion === null ? [] : [{ type: "version", version: ifVersion }];
    const question: Question = {
      client: client.name,
      key,
      op: "put",
      in: ifVersion === null ? { value } : { value, ifVersion },
    };
    this.ask(question, done, (answer) => {
      const command = { type: "put", key: keyFor(key), value: bytesOf(value) } as const;
      const data = encodeCommand({ ...command, conditions, returnPrevious: false });
      const node = this.cluster.node(client.node);
      this.cluster.propose(node, data, (told) => answer(toAnswer(told, value)));
    });
  }

  /** A linearizable read at this node. */
  get(client: Client, key: string, done: (answer: Answer) => void): void {
    const node = this.cluster.node(client.node);
    const failed: Answer = { outcome: "failed" };
    this.ask({ client: client.name, key, op: "get", in: {} }, done, (answer) => {
      if (!node.isUp) return answer(failed);
      node.run(node.generation, () => {
        const life = must(node.life, "it runs");
        life.node.readIndex((index) => {
          if (index === null) answer(failed);
          else life.node.whenReached(index, () => answer(readAt(node, key)));
        });
      });
    });
  }

  private ask(
    question: Question,
    done: (answer: Answer) => void,
    begin: (answer: (answer: Answer) => void) => void,
  ): void {
    const { events } = this.cluster;
    const call = events.now;
    let isAnswered = false;
    const finish = (answer: Answer) => {
      if (isAnswered) return;
      isAnswered = true;
      const isKnown = answer.outcome !== "unknown";
      this.operations.push({ ...question, ...answer, call, return: isKnown ? events.now : null });
      done(answer);
    };
    const late: Answer = { outcome: question.op === "get" ? "failed" : "unknown" };
    events.after(TIMEOUT_MS, () => finish(late));
    begin(finish);
  }

  /** One half reads, the other half writes on condition of what the client has last seen. */
  private next(client: Client): void {
    if (this.isOver) {
      this.active -= 1;
      return;
    }
    const { random, events } = this.cluster;
    const key = `key${random.below(this.load.keys)}`;
    const goOn = ({ outcome, out }: Answer) => {
      const isServed = outcome === "ok" || outcome === "refused";
      const version = out?.version ?? client.version;
      const node = isServed ? client.node : client.node + 1;
      const go = () => this.next({ ...client, version, node });
      events.after(isServed ? random.between(1, 5) : RETRY_MS, go);
    };
    if (random.chance(50)) this.get(client, key, goOn);
    else this.put(client, key, random.chance(70) ? client.version : null, goOn);
  }
}

/** A client, the node it turns to, and the version that it has last seen. */
export interface Client {
  readonly name: string;
  readonly node: number;
  readonly version: number;
}

export function keyFor(text: string): Key {
  return keyOf(bytesOf(text));
}

function toAnswer(told: Told, value: string): Answer {
  switch (told.kind) {
    case "refused":
    case "lost":
      return { outcome: "failed" };
    case "unknown":
      return { outcome: "unknown" };
    case "applied": {
      const { ok, current, revision: storeRevision } = told.result;
      const version = current?.version ?? 0;
      if (ok) return { outcome: "ok", out: { version, revision: storeRevision, value } };
      return { outcome: "refused", out: { version } };
    }
  }
}

function readAt(node: SimNode, key: string): Answer {
  const { store } = must(node.life, "it runs");
  const found = store.get(keyFor(key));
  const out: Out = {
    version: found?.version ?? 0,
    storeRevision: store.revision,
    value: found === null ? null : byteString(found.value),
    ...(found === null ? {} : { revision: found.modRevision }),
  };
  return { outcome: "ok", out };
}
