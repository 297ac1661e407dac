/** Clients that write without pause, and know every change that they made, at which revision. */
import type { Change, Told } from "../watch/validate.ts";
import { settled } from "./retry.ts";
import { until } from "./until.ts";

interface Node {
  readonly url: string;
}

/** What one transaction does, in this order. */
type Step = readonly { readonly key: string; readonly kind: "put" | "delete" }[];

/** Each has keys of its own, and one transaction under way: so what it changed is certain. */
export class KnownWriters {
  readonly #nodes: readonly Node[];
  readonly #changes: Change[] = [];
  readonly #running: readonly Promise<void>[];
  #isStopping = false;

  /** So many, all of whose keys begin with `w/`. Requests go to all of the nodes. */
  constructor(nodes: readonly Node[], count: number) {
    this.#nodes = nodes;
    this.#running = Array.from({ length: count }, (_, writer) => this.#run(writer));
  }

  /** What happened, in the order of revisions. */
  get history(): readonly Change[] {
    return [...this.#changes].sort((a, b) => a.revision - b.revision);
  }

  /** Waits for so many more changes. */
  async more(count: number): Promise<void> {
    const target = this.#changes.length + count;
    await until(`${count} more changes`, () => this.#changes.length >= target, 30_000);
  }

  /** When this resolves, the history is whole. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }

  async #run(writer: number): Promise<void> {
    const [a, b] = [`w/${writer}/a`, `w/${writer}/b`];
    const steps: readonly Step[] = [
      [{ key: a, kind: "put" }],
      [a, b].map((key) => ({ key, kind: "put" })),
      [
        { key: a, kind: "delete" },
        { key: b, kind: "put" },
      ],
      [{ key: b, kind: "delete" }],
    ];
    const at = writer % this.#nodes.length;
    const nodes = [...this.#nodes.slice(at), ...this.#nodes.slice(0, at)];
    const known = new Map<string, Told>();
    for (let count = 0; !this.#isStopping; count++) {
      const step = steps[count % steps.length] ?? [];
      const value = `${writer} ${count}`;
      const revision = await carryOut(step, { nodes, value });
      for (const { key, kind } of step) {
        const before = known.get(key) ?? null;
        const now = kind === "put" ? next({ key, value, revision }, before) : null;
        if (now === null) known.delete(key);
        else known.set(key, now);
        this.#changes.push({ kind, revision, key, now, before });
      }
    }
  }
}

/** Once, whatever happens to the nodes. Returns its revision. */
async function carryOut(
  step: Step,
  { nodes, value }: { readonly nodes: readonly Node[]; readonly value: string },
): Promise<number> {
  const success = step.map(({ key, kind }) =>
    kind === "put" ? { put: { key, value } } : { delete: { key } },
  );
  const headers = { "idempotency-key": value.replace(" ", "-") };
  const reply = await settled(nodes, "/v1/txn", { method: "POST", body: { success }, headers });
  if (reply.status !== 200) throw new Error(`txn: ${JSON.stringify(reply.body)}`);
  return Number(reply.body["revision"]);
}

/** What a key is after a put. */
function next(
  { key, value, revision }: { key: string; value: string; revision: number },
  before: Told | null,
): Told {
  return {
    key,
    value,
    version: (before?.version ?? 0) + 1,
    mod_revision: revision,
    create_revision: before?.create_revision ?? revision,
  };
}
