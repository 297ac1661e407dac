/** A whole simulated cluster: one seed, one history. First trouble, then peace and progress. */
import { setImmediate as othersHaveRun } from "node:timers/promises";
import { assert, must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { checkHistory } from "../checker/linearizable.ts";
import { checkWitness } from "../checker/witness.ts";
import { drawChanges } from "./change-schedule.ts";
import { Checker } from "./checker.ts";
import { Clients } from "./clients.ts";
import { EventQueue } from "./events.ts";
import { isCalm, isEqual } from "./ending.ts";
import { Joining } from "./joining.ts";
import { MemberStates } from "./member-states.ts";
import { SimNetwork } from "./network.ts";
import { drawOptions, ELECTION_MS, type SwarmOptions } from "./options.ts";
import { Operators } from "./operators.ts";
import { Promises } from "./promises.ts";
import { watchRaft } from "./raft-watch.ts";
import { RareStates } from "./rare-states.ts";
import { drawSchedule, namesOf, type Scheduled } from "./schedule.ts";
import { leaderOf, SimNode } from "./sim-node.ts";
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
  const troubles = drawSchedule(new Prng(`${seed}/trouble`), options);
  const changes = drawChanges(new Prng(`${seed}/members`), options);
  return { seed, options, schedule: [...troubles, ...changes] };
}

export class SimCluster {
  readonly scenario: Scenario;
  private readonly lines: string[];
  readonly events = new EventQueue();
  /** One of each name, whether a machine bears it or not. */
  readonly nodes: readonly SimNode[];
  /** Those that a machine bears now: clients know them. */
  private readonly present: SimNode[] = [];
  private readonly checker: Checker;
  private readonly promises: Promises;
  private readonly rareStates: RareStates;
  private readonly memberStates: MemberStates;
  private readonly operators: Operators;
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
    this.promises = new Promises();
    this.services = new SimServices({ events, network, electionMs: ELECTION_MS });
    this.nodes = this.makeNodes(network, trace);
    this.notePresent();
    const { present } = this;
    const { nodes, checker, services } = this;
    const { configurations } = checker;
    this.rareStates = new RareStates(present, sometimes);
    this.memberStates = new MemberStates(configurations, sometimes);
    const joining = new Joining({
      events,
      random: new Prng(`${seed}/joining`),
      nodes,
      configurations,
      sometimes,
      onPresent: () => this.notePresent(),
    });
    const operators = new Operators({ nodes, checker, network, joining, sometimes, trace });
    this.operators = operators;
    const troubled = { schedule, events, network, nodes, configurations, operators };
    this.troubles = new Troubles({ ...troubled, sometimes, trace });
    const told = { events, nodes: present, services, sometimes };
    const randomOf = (what: string) => new Prng(`${seed}/${what}`);
    this.clients = new Clients({ ...told, random: randomOf("clients"), options, trace });
    this.sessions = new Sessions({ ...told, random: randomOf("sessions") });
    this.watchers = new Watchers({ ...told, random: randomOf("watchers") });
    for (const node of present) node.start();
  }

  private makeNodes(network: SimNetwork, trace: (line: string) => void): readonly SimNode[] {
    const { events, sometimes } = this;
    const { seed, options } = this.scenario;
    const { configurations } = this.checker;
    const names = Array.from({ length: namesOf(options) }, (_, i) => `n${i + 1}` as NodeId);
    const ids = names.slice(0, options.nodes);
    const { leaseMs } = options;
    const shared = { ids, leaseMs, seed, options, events, network, sometimes, trace };
    const nodes = names.map(
      (id) =>
        new SimNode({
          ...shared,
          id,
          onEvent: (node) => this.look(node),
          onStart: (node, life) => {
            this.promises.start(node, life);
            watchRaft(life.raft, configurations, sometimes);
            this.services.start(node, life);
            this.watchers.start(life);
          },
          onSend: (node, message) => this.promises.sent(node, message),
          onChange: (node, now) => this.services.changed(node, now),
          onDeath: (node) => this.troubles.died(node),
        }),
    );
    const rates = new Prng(`${seed}/clocks`);
    for (const node of nodes) node.clockRate = rates.pick(options.clockRates);
    return nodes;
  }

  /** Something may have changed the node. */
  private look(node: SimNode): void {
    this.checker.check(node);
    this.promises.afterEvent(node);
    this.rareStates.look(node);
    this.memberStates.look(node);
    this.operators.afterEvent();
    this.troubles.afterEvent(node);
  }

  private notePresent(): void {
    const present = this.nodes.filter(({ isPresent }) => isPresent);
    this.present.splice(0, this.present.length, ...present);
  }

  /** Runs to the end. Rejects where anything that must hold does not. */
  async run(): Promise<SimResult> {
    await this.runWhile(() => this.events.now < this.scenario.options.trouble.lastsMs);
    this.troubles.end();
    await this.runUntilCalm();
    await this.readAll();
    await this.runUntilEqual();
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
      this.services.check();
    }
  }

  /** Progress: whoever decides has writes that were made after the trouble. */
  private async runUntilCalm(): Promise<void> {
    const deadline = this.events.now + PEACE_MS;
    const target = this.checker.committed + 5;
    await this.runWhile(() => !isCalm(this.nodes, target) && this.events.now <= deadline);
    const timeouts = PEACE_MS / ELECTION_MS;
    const isReached = isCalm(this.nodes, target);
    assert(isReached, () => `no progress ${timeouts} election timeouts after the trouble`);
  }

  private async runUntilEqual(): Promise<void> {
    const deadline = this.events.now + PEACE_MS;
    await this.runWhile(() => !isEqual(this.nodes) && this.events.now <= deadline);
    assert(isEqual(this.nodes), "members do not come to the same state");
  }

  /** What was acknowledged is there: the history says so, if it ends with what all keys are. */
  private async readAll(): Promise<void> {
    const deadline = this.events.now + PEACE_MS;
    let hasRead = false;
    this.clients.stop();
    this.sessions.stop();
    this.clients.readAll(must(leaderOf(this.nodes), "somebody leads"), () => {
      hasRead = true;
    });
    await this.runWhile(() => !hasRead && this.events.now <= deadline);
    assert(hasRead, "keys cannot be read after the trouble");
  }

  /** All is quiet, so that watches can tell of everything that their nodes know. */
  private async checkWatches(): Promise<void> {
    const revisionOf = ({ life }: SimNode) => life?.store.revision ?? 0;
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
