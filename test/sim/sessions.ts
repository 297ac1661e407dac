/**
 * Clients that hold on to something over crashes and elections: a counter that each retry must
 * count once (X1, X2), and a lease that must not end early (X8).
 */
import { assert, must } from "../../src/lib/assert.ts";
import { bytesOf } from "../../src/lib/bytes.ts";
import type { Prng } from "../../src/lib/random.ts";
import type { PlainCommand } from "../../src/kv/command.ts";
import { type Key, keyOf } from "../../src/kv/key.ts";
import type { KvResult } from "../../src/kv/store.ts";
import { ServiceError } from "../../src/service/errors.ts";
import type { KvService } from "../../src/service/kv-service.ts";
import type { EventQueue } from "./events.ts";
import type { SimNode } from "./sim-node.ts";
import type { SimServices } from "./sim-service.ts";
import type { Sometimes } from "./sometimes.ts";

const TIMEOUT_MS = 700;
/** A node that is gone does not answer at all. */
const PATIENCE_MS = 1_000;
const TTL_MS = 1_500;
const RENEW_MS = 300;
/** No node's clock runs faster than that. */
const RATE_MAX = 1.25;

export interface SessionsDeps {
  readonly events: EventQueue;
  readonly random: Prng;
  readonly nodes: readonly SimNode[];
  readonly services: SimServices;
  readonly sometimes: Sometimes;
}

type Request<Answer> = (service: KvService) => Promise<Answer>;

/** One of each, from the start of a run to its end. */
export class Sessions {
  private readonly deps: SessionsDeps;
  private requests = 0;
  private count = 0;
  private readonly counter = keyNamed("counter");
  private readonly leased = keyNamed("leased");
  private isStopped = false;
  private failure: Error | null = null;

  constructor(deps: SessionsDeps) {
    this.deps = deps;
    const failed = (error: unknown) => {
      this.failure ??= error as Error;
    };
    this.countOn().catch(failed);
    this.holdLease().catch(failed);
  }

  /** Throws what a client has found wrong. */
  check(): void {
    if (this.failure !== null) throw this.failure;
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Counts one up again and again. Every answer is one more than the last, whatever failed. */
  private async countOn(): Promise<void> {
    const operation = { type: "increment", key: this.counter, by: 1, initial: 0 } as const;
    const command = { type: "txn", compares: [], success: [operation], failure: [] } as const;
    while (!this.isStopped) {
      const result = await this.write(command);
      if (result === null) return;
      const [counted] = result.ok ? (result.txn?.results ?? []) : [];
      assert(counted?.type === "increment", "a counter is counted");
      this.count += 1;
      const { value } = counted;
      assert(value === this.count, () => `counted ${this.count} times, and it says ${value}`);
      if (result.replayed === true) this.deps.sometimes.saw("a retry was answered from memory");
      await this.pause(this.deps.random.between(1, 200));
    }
  }

  /** Renews a lease. Whoever could renew it finds its key until its time is over. */
  private async holdLease(): Promise<void> {
    while (!this.isStopped) {
      const granted = await this.write({ type: "grant", id: 0, ttlMs: TTL_MS });
      const lease = granted?.ok === true ? granted.leases?.[0] : null;
      if (!lease) return;
      const put = { type: "put", key: this.leased, value: bytesOf("v") } as const;
      const hangs = { lease: { kind: "lease", id: lease.id }, conditions: [] } as const;
      const done = await this.write({ ...put, ...hangs, returnPrevious: false });
      if (done?.ok === true) await this.renewOn(lease.id);
    }
  }

  /** Until it is lost. */
  private async renewOn(id: number): Promise<void> {
    const { events, random, sometimes } = this.deps;
    let safeUntil = Number.NEGATIVE_INFINITY;
    while (!this.isStopped) {
      const askedAt = events.now;
      const renewed = await this.ask((service) => service.renew(id, TIMEOUT_MS));
      if (renewed === null) {
        assert(events.now >= safeUntil, "a lease that was renewed ended early");
        return sometimes.saw("a lease ended");
      }
      if (renewed !== "failed") safeUntil = askedAt + TTL_MS / RATE_MAX;
      await this.look(() => safeUntil);
      // Now and then for too long, so that leases do end.
      await this.pause(random.chance(5) ? 3 * TTL_MS : random.between(RENEW_MS / 2, RENEW_MS));
    }
  }

  private async look(safeUntil: () => number): Promise<void> {
    const options = { consistency: "linearizable", maxStaleMs: null, minRevision: null } as const;
    const reading = await this.ask((service) =>
      service.get(this.leased, { ...options, timeoutMs: TIMEOUT_MS }),
    );
    if (reading === "failed" || this.deps.events.now >= safeUntil()) return;
    assert(reading.found !== null, "a key whose lease was renewed is gone");
  }

  /** Until there is an answer, through one node after another; null: the run is over. */
  private async write(command: PlainCommand): Promise<KvResult | null> {
    const name = `request-${++this.requests}`;
    while (!this.isStopped) {
      const result = await this.ask((service) => service.write(command, TIMEOUT_MS, name));
      if (result !== "failed") return result;
      await this.pause(this.deps.random.between(1, 100));
    }
    return null;
  }

  /** Asks some node, once. */
  private ask<Answer>(request: Request<Answer>): Promise<Answer | "failed"> {
    const { events, random, nodes, services } = this.deps;
    const node = must(nodes[random.below(nodes.length)], "one of them");
    return new Promise((resolve, reject) => {
      const end = (answer: Answer | "failed") => {
        services.hasSettled = true;
        resolve(answer);
      };
      events.after(PATIENCE_MS, () => end("failed"));
      node.run(node.generation, () => {
        const service = services.serviceOf(node);
        if (service === null) return;
        services.hasSettled = true;
        request(service).then(resolve, (error: unknown) => {
          if (error instanceof ServiceError) resolve("failed");
          else reject(error as Error);
        });
      });
    });
  }

  private pause(ms: number): Promise<void> {
    const { events, services } = this.deps;
    return new Promise((resolve) => {
      events.after(ms, () => {
        services.hasSettled = true;
        resolve();
      });
    });
  }
}

function keyNamed(name: string): Key {
  return keyOf(bytesOf(`session/${name}`));
}
