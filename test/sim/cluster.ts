/** A whole simulated cluster: one seed, one history. First trouble, then peace and progress. */
import { setImmediate as othersHaveRun } from "node:timers/promises";
import { assert, must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { checkHistory } from "../checker/linearizable.ts";
import { checkWitness } from "../checker/witness.ts";
import { Checker } from "./checker.ts";
import { Clients } from "./clients.ts";
import { EventQueue } from "./events.ts";
import { SimNetwork } from "./network.ts";
import { drawOptions, type SwarmOptions } from "./options.ts";
import { Promises } from "./promises.ts";
import { RareStates } from "./rare-states.ts";
import { drawSchedule, type Scheduled } from "./schedule.ts";
import { coreOf, ELECTION_MS, SimNode } from "./sim-node.ts";
import { Sessions } from "./sessions.ts";
import { SimServices } from "./sim-service.ts";
import { type Rare, Sometimes } from "./sometimes.ts";
import { Troubles } from "./troubles.ts";
import { Watchers } from "./watchers.ts";

/** All that a run is made of: one scenario, one history. */
export interface Scenario {
  readonly seed: string;
  readonly options: SwarmOptions;
  readonly schedule: readonly Scheduled[];
}

/** What a run came to. */
export interface SimResult {
  readonly events: number;
  readonly simulatedMs: number;
  /** What clients asked, and what of it was answered. */
  readonly operations: number;
  readonly answered: number;
  readonly leaders: number;
  readonly committed: number;
  readonly rare: readonly (readonly [Rare, number])[];
}

const TRACE_LINES = 50;
const PEACE_MS = 60_000;
const QUIET_MS = 2_000;
const EVENTS_MAX = 5_000_000;
/** Of the search: far more than any history here has needed. */
const STEPS_MAX = 5_000_000;

/** The scenario that a seed stands for. */
export function scenarioOf(seed: string): Scenario {
  const options = drawOptions(new Prng(`${seed}/options`));
  return { seed, options, schedule: drawSchedule(new Prng(`${seed}/trouble`), options) };
}

export class SimCluster {
  readonly scenario: Scenario;
  private readonly lines: string[];
  readonly events = new EventQueue();
  readonly nodes: readonly SimNode[];
  private readonly checker: Checker;
  private readonly promises: Promises;
  private readonly rareStates: RareStates;
  private readonly services: SimServices;
  private readonly clients: Clients;
  private readonly sessions: Sessions;
  private readonly watchers: Watchers;
  private readonly troubles: Troubles;
  private readonly sometimes = new Sometimes();
  private readonly keepTrace: boolean;

  /** What happens goes to `lines`: the last of it, or, with `trace`, all. */
  constructor(
    scenario: Scenario,
    { trace: keepTrace, lines }: { readonly trace: boolean; readonly lines: string[] },
  ) {
    const { seed, options, schedule } = scenario;
    this.scenario = scenario;
    this.lines = lines;
    this.keepTrace = keepTrace;
    const { events, sometimes } = this;
    const trace = (line: string) => this.trace(line);
    const network = new SimNetwork(events, new Prng(`${seed}/network`), { options, sometimes });
    this.checker = new Checker(options.nodes, () =>
      sometimes.saw("an entry that a majority had on disk was replaced"),
    );
    this.promises = new Promises(options.nodes);
    this.services = new SimServices({ events, network, electionMs: ELECTION_MS });
    const ids = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}` as NodeId);
    const onEvent = (node: SimNode) => {
      this.checker.check(node);
      this.promises.afterEvent(node);
      this.rareStates.look(node);
      this.troubles.afterEvent(node);
    };
    const nodes = ids.map((id) => {
      const deps = { id, ids, seed, options, events, network, sometimes, onEvent, trace };
      return new SimNode({
        ...deps,
        onStart: (node, life) => {
          this.promises.start(node, life);
          this.services.start(node, life);
          this.watchers.start(life);
        },
        onSend: (node, message) => this.promises.sent(node, message),
        onChange: (node, now) => this.services.changed(node, now),
        onDeath: (node) => this.troubles.died(node),
      });
    });
    this.nodes = nodes;
    const rates = new Prng(`${seed}/clocks`);
    for (const node of nodes) node.clockRate = rates.pick(options.clockRates);
    this.rareStates = new RareStates(nodes, sometimes);
    this.troubles = new Troubles({ schedule, events, network, nodes, sometimes, trace });
    const { services } = this;
    const random = new Prng(`${seed}/clients`);
    this.clients = new Clients({ events, random, nodes, services, options, sometimes, trace });
    this.sessions = new Sessions({
      events,
      random: new Prng(`${seed}/sessions`),
      nodes,
      services,
      sometimes,
    });
    this.watchers = new Watchers({
      events,
      random: new Prng(`${seed}/watchers`),
      nodes,
      services,
      sometimes,
    });
    for (const node of nodes) node.start();
  }

  /** Runs to the end. Rejects where anything that must hold does not. */
  async run(): Promise<SimResult> {
    await this.runWhile(() => this.events.now < this.scenario.options.trouble.lastsMs);
    this.troubles.end();
    await this.runUntilCalm();
    await this.readAll();
    await this.checkWatches();
    this.checkHistory();
    const { operations } = this.clients;
    const { leaders, committed } = this.checker;
    return {
      events: this.events.count,
      simulatedMs: this.events.now,
      operations: operations.length,
      answered: operations.filter(({ out }) => out !== undefined).length,
      leaders,
      committed,
      rare: [...this.sometimes.counts],
    };
  }

  private async runWhile(goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      assert(this.events.step(), "nothing happens any more");
      assert(this.events.count < EVENTS_MAX, "the events never end");
      if (!this.services.hasSettled) continue;
      // Promises go on before anything else happens.
      this.services.hasSettled = false;
      await othersHaveRun();
      this.sessions.check();
    }
  }

  /** Progress: everybody gets the same state, with writes made after the trouble. */
  private async runUntilCalm(): Promise<void> {
    const deadline = this.events.now + PEACE_MS;
    const target = this.checker.committed + 5;
    const isSettled = () =>
      this.nodes.every((node) => node.isUp && coreOf(node).log.applied >= target && !node.hasLost);
    await this.runWhile(() => !isSettled() && this.events.now <= deadline);
    const timeouts = PEACE_MS / ELECTION_MS;
    assert(isSettled(), () => `no progress ${timeouts} election timeouts after the trouble`);
  }

  /** What was acknowledged is there: the history says so, if it ends with what all keys are. */
  private async readAll(): Promise<void> {
    const deadline = this.events.now + PEACE_MS;
    let hasRead = false;
    this.clients.stop();
    this.sessions.stop();
    this.clients.readAll(this.nodes[0] as SimNode, () => {
      hasRead = true;
    });
    await this.runWhile(() => !hasRead && this.events.now <= deadline);
    assert(hasRead, "keys cannot be read after the trouble");
  }

  /** All is quiet, so that watches can tell of everything that their nodes know. */
  private async checkWatches(): Promise<void> {
    const revisionOf = ({ life }: SimNode) => must(life, "all nodes run").store.revision;
    const known = new Map(this.nodes.map((node) => [node, revisionOf(node)]));
    const until = this.events.now + QUIET_MS;
    await this.runWhile(() => this.events.now < until);
    this.watchers.check(known);
  }

  /** I13: by the order that revisions tell, and by search, key by key. */
  private checkHistory(): void {
    const { operations } = this.clients;
    const contradiction = checkWitness(operations);
    assert(contradiction === null, () => {
      const involved = contradiction?.operations.map((each) => JSON.stringify(each));
      return `not linearizable: ${contradiction?.what}: ${involved?.join("; ")}`;
    });
    const verdict = checkHistory(operations, { stepsMax: STEPS_MAX });
    assert(verdict.verdict === "ok", () => `no order explains the history: ${verdict.verdict}`);
  }

  private trace(line: string): void {
    this.lines.push(`${this.events.now} ${line}`);
    if (!this.keepTrace && this.lines.length > TRACE_LINES) this.lines.shift();
  }
}
