/**
 * No step may hold the event loop for long, however much there is. What counts is the thread's own
 * time: other programs of the machine may take theirs. The bounds are many times what was measured.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { bytesOf } from "../../src/lib/bytes.ts";
import { type Command, encodeCommand } from "../../src/kv/command.ts";
import { KvStore } from "../../src/kv/store.ts";
import { compact, del, key } from "./fixtures.ts";

const KEYS = 300_000;
const STEP_MS_MAX = 50;

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Measures the steps of one kind, and prints the longest. */
class Steps {
  private max = 0;
  private total = 0;
  private count = 0;
  private readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  run<Result>(step: () => Result): Result {
    const start = threadMs();
    const result = step();
    const ms = threadMs() - start;
    this.max = Math.max(this.max, ms);
    this.total += ms;
    this.count++;
    return result;
  }

  expectShort(): void {
    const [max, total] = [this.max.toFixed(1), this.total.toFixed(0)];
    console.log(`${this.name}: ${this.count} steps, ${total} ms, the longest ${max} ms`);
    expect(this.max).toBeLessThan(STEP_MS_MAX);
  }
}

/** All chunks, pauses left out; each is one step. */
function encode(store: KvStore, name: string): Uint8Array[] {
  const steps = new Steps(name);
  const frozen = steps.run(() => store.freeze());
  const iterator = frozen.chunks();
  const chunks: Uint8Array[] = [];
  for (;;) {
    const next = steps.run(() => iterator.next());
    if (next.done === true) break;
    if (next.value.length > 0) chunks.push(next.value);
  }
  frozen.release();
  steps.expectShort();
  return chunks;
}

describe(`with ${KEYS} keys`, () => {
  const store = new KvStore();
  const value = bytesOf("a value of some 32 bytes in size");
  const name = (i: number) => key(`/registry/pods/${(i * 7919) % KEYS}`); // In no order.
  const apply = (command: Command) => {
    return store.apply(encodeCommand(command), store.clusterTime + 1);
  };

  beforeAll(() => {
    const conditions: [] = [];
    for (let i = 0; i < KEYS; i++) {
      apply({ type: "put", key: name(i), value, conditions, returnPrevious: false });
    }
  }, 60_000);

  test("freezing, encoding and restoring go in short steps", () => {
    const chunks = encode(store, "encode changes");
    const steps = new Steps("feed");
    const other = new KvStore();
    const restorer = steps.run(() => other.restorer());
    for (const chunk of chunks) steps.run(() => restorer.feed(chunk));
    steps.run(() => restorer.commit());
    steps.expectShort();
    expect(other.digest).toBe(store.digest);
    expect(other.liveKeys).toBe(KEYS);
  });

  test("so do a compaction of everything, and what is written after it", () => {
    const steps = new Steps("compact and purge");
    steps.run(() => apply(compact(store.revision)));
    for (let i = 0; i < 1000; i++) steps.run(() => apply(del("missing")));
    steps.expectShort();
    expect(store.historyBytes).toBe(0);
    encode(store, "encode bases");
  });
});
