/**
 * Watchers that resume on one node after another, and the truth that their streams are held
 * against: every change, noted by whichever node has applied it first (K1 to K6).
 */
import { assert, must } from "../../src/lib/assert.ts";
import type { Prng } from "../../src/lib/random.ts";
import { keyOf } from "../../src/kv/key.ts";
import { EVENT_KINDS, type Selection } from "../../src/watch/selection.ts";
import { changeOf } from "../watch/change-of.ts";
import { type Change, problemsOf, resumeAt } from "../watch/validate.ts";
import { Client } from "../watch/world.ts";
import type { EventQueue } from "./events.ts";
import type { Life, SimNode } from "./sim-node.ts";
import type { SimServices } from "./sim-service.ts";
import type { Sometimes } from "./sometimes.ts";

export interface WatchersDeps {
  readonly events: EventQueue;
  readonly random: Prng;
  readonly nodes: readonly SimNode[];
  readonly services: SimServices;
  readonly sometimes: Sometimes;
}

/** One connection of one watcher. */
interface Stream {
  readonly node: SimNode;
  readonly life: Life;
  readonly selection: Selection;
  readonly since: number;
  readonly client: Client;
  /** The client has left. */
  isClosed: boolean;
}

const WATCHERS = 3;
/** A client notices that a node is gone, or goes to another one for no reason. */
const LOOK_MS = 200;

export class Watchers {
  private readonly deps: WatchersDeps;
  private readonly history: Change[] = [];
  /** All changes up to here are in the history. */
  private newest = 1;
  private compacted = 0;
  private readonly streams: Stream[] = [];
  private readonly present: Stream[] = [];

  constructor(deps: WatchersDeps) {
    this.deps = deps;
    for (let at = 0; at < WATCHERS; at++) this.lookLater(at, drawSelection(deps.random));
  }

  /** Of a process that has begun to run. */
  start({ store }: Life): void {
    this.note(store);
    store.listen(() => this.note(store));
  }

  /**
   * Throws where a stream tells anything but the truth; those that are open, all of it up to what
   * their nodes have known for a while.
   */
  check(known: ReadonlyMap<SimNode, number>): void {
    // Nobody is told of a history that is forgotten without another change.
    for (const { life } of this.deps.nodes) if (life !== null) this.note(life.store);
    for (const stream of this.streams) {
      const { client, selection, since, life, node } = stream;
      const isOpen = !stream.isClosed && node.life === life;
      const { target, key, kinds, withPrevious } = selection;
      const selects = (name: string) => (target === "key" ? name === key : name.startsWith(key));
      const { messages } = client.reader;
      const told = { since, selects, kinds, withPrevious, messages };
      const completeTo = must(known.get(node), "every node knows something");
      const whole = isOpen && client.failure === null ? { ...told, completeTo } : told;
      const [problem] = problemsOf(whole, this.history, this.compacted);
      assert(problem === undefined, () => `a watch at ${node.id} from ${since} on: ${problem}`);
    }
  }

  private note(store: Life["store"]): void {
    this.compacted = Math.max(this.compacted, store.compactRevision);
    if (store.revision <= this.newest) return;
    for (const version of store.changesFrom(this.newest + 1)) this.history.push(changeOf(version));
    this.newest = store.revision;
  }

  private lookLater(at: number, selection: Selection): void {
    const { events, random } = this.deps;
    events.after(random.between(1, LOOK_MS), () => {
      this.look(at, selection);
      this.lookLater(at, selection);
    });
  }

  private look(at: number, selection: Selection): void {
    const { random } = this.deps;
    const before = this.present[at];
    const isGone = before === undefined || before.isClosed || before.node.life !== before.life;
    const hasFailed = before !== undefined && before.client.failure !== null;
    if (!isGone && !hasFailed && !random.chance(3)) return;
    before?.client.watch?.close();
    if (before !== undefined) before.isClosed = true;
    this.open(at, selection, before);
  }

  private open(at: number, selection: Selection, before: Stream | undefined): void {
    const { random, nodes, services, sometimes } = this.deps;
    const node = must(nodes[random.below(nodes.length)], "one of them");
    const service = services.serviceOf(node);
    const { life } = node;
    if (service === null || life === null) return;
    const known =
      before === undefined ? null : (resumeAt(before.client.reader.messages) ?? before.since);
    const client = new Client();
    const open = (since: number) =>
      service.watches.open({ selection, since, initial: false, sink: client });
    let since = known ?? life.store.revision;
    let watch = open(since);
    if (watch === "COMPACTED") {
      sometimes.saw("a watch could not resume");
      since = life.store.revision;
      watch = open(since);
    } else if (known !== null && since < life.store.revision) {
      sometimes.saw("a watch caught up from history");
    }
    if (typeof watch === "string") return;
    client.watch = watch;
    const stream = { node, life, selection, since, client, isClosed: false };
    this.streams.push(stream);
    this.present[at] = stream;
  }
}

function drawSelection(random: Prng): Selection {
  const name = random.pick(["", "key", "session/", "session/leased"]);
  return {
    target: name === "session/leased" ? "key" : "prefix",
    key: keyOf(Buffer.from(name, "latin1")),
    kinds: new Set(random.chance(70) ? EVENT_KINDS : [random.pick(EVENT_KINDS)]),
    withPrevious: random.chance(50),
  };
}
