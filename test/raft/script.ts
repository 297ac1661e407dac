/**
 * Runs a script: commands, `----`, and what they are expected to print. Time passes, disks finish
 * and messages arrive only where the script says so, and election timeouts are fixed, so that a
 * script pins one schedule. `scripts/README.md` lists the commands.
 */
import { bytesOf } from "../../src/lib/bytes.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { Message } from "../../src/raft/message.ts";
import { nothingSaved, type Saved } from "../../src/raft/saved.ts";
import {
  asIndex,
  asTerm,
  type ClusterTime,
  type Configuration,
  type NodeId,
  NOWHERE,
} from "../../src/raft/types.ts";
import { LIMITS, TICK_MS } from "./limits.ts";
import { Machine, type SharedOptions, type World } from "./machine.ts";
import { Network, parseLink, parsePattern } from "./network.ts";
import {
  type Fields,
  MESSAGE_TYPES,
  parseBody,
  parseChange,
  parseConfiguration,
  parseEntries,
  parseNodes,
  parsePosition,
  showConfiguration,
  showEntries,
  showMessage,
  showRefusal,
  splitOutside,
} from "./notation.ts";
import { Oracle } from "./oracle.ts";
import { ScriptDisk } from "./script-disk.ts";

/** n1 times out first, then n2, and so on. */
const JITTER_STEP_MS = 30;
const CAMPAIGN_TICKS_MAX = 100;
const ROUNDS_MAX = 1000;

interface Line {
  readonly command: string;
  /** Words that are not `key=value`. */
  readonly words: readonly string[];
  readonly fields: Fields;
}

/** The script's text with the output of each block replaced by what it printed now. */
export function runScript(text: string): string {
  const script = new Script();
  const blocks = text.trimEnd().split(/\n{2,}/);
  return `${blocks.map((block) => runBlock(script, block)).join("\n\n")}\n`;
}

function runBlock(script: Script, block: string): string {
  const lines = block.split("\n");
  const end = lines.indexOf("----");
  if (end < 0) {
    if (lines.every((line) => line.startsWith("#"))) return block;
    throw new Error(`a block without ----: ${lines[0]}`);
  }
  const input = lines.slice(0, end);
  const output = input.filter((line) => !line.startsWith("#")).flatMap((line) => script.run(line));
  return [...input, "----", ...(output.length > 0 ? output : ["ok"])].join("\n");
}

class Script implements World {
  options: SharedOptions = {
    heartbeatMs: 20,
    electionMs: 100,
    ...LIMITS,
    unappliedEntriesMax: 1000,
  };
  bootstrap: Configuration = configurationOf({ voters: parseNodes("n1,n2,n3") });
  private readonly machines = new Map<NodeId, Machine>();
  private readonly disks = new Map<NodeId, ScriptDisk>();
  private readonly network = new Network(this.machines);
  readonly oracle = new Oracle(this.disks);
  private readonly reads: string[] = [];
  private out: string[] = [];

  private readonly commands: Readonly<Record<string, (line: Line) => void>> = {
    options: (line) => this.setOptions(line.fields),
    nodes: (line) => this.makeNodes(line),
    node: (line) => this.makeNode(line),
    tick: ({ words: [who = "n1", ms] }) => this.tick(who, Number(ms ?? TICK_MS)),
    sleep: ({ words: [who, ms] }) => this.node(who).sleep(Number(ms)),
    campaign: ({ words: [who] }) => this.campaign(this.node(who)),
    elect: ({ words: [who] }) => this.elect(this.node(who)),
    propose: ({ words: [who, ...data] }) => this.propose(this.node(who), data),
    read: ({ words: [who, ...names] }) => this.read(this.node(who), names),
    change: ({ words: [who, ...wishes] }) => this.change(this.node(who), wishes),
    transfer: ({ words: [who, target] }) => this.transfer(this.node(who), target),
    deliver: ({ words }) => this.deliver(words),
    drop: ({ words }) => this.drop(words),
    hold: ({ words }) => this.show("held", this.network.hold(parsePattern(words))),
    dup: ({ words }) => this.show("copied", this.network.duplicate(parsePattern(words))),
    release: ({ words }) => this.show("released", this.network.release(parsePattern(words))),
    stabilize: () => this.stabilize(),
    run: ({ words: [ms] }) => this.runFor(Number(ms)),
    async: (line) => this.each(line, (machine) => (machine.async = true)),
    sync: (line) => this.each(line, (machine) => this.endAsync(machine)),
    persist: ({ words: [who, count = "100"] }) => this.node(who).persist(Number(count)),
    crash: (line) => this.each(line, (machine) => machine.crash()),
    lose: ({ words: [who], fields }) =>
      this.disks.get(who as NodeId)?.lose(fields.get("as") ?? "new"),
    restart: (line) => this.each(line, (machine) => machine.start()),
    pause: (line) => this.each(line, (machine) => (machine.paused = true)),
    resume: (line) => this.each(line, (machine) => (machine.paused = false)),
    cut: ({ words }) => this.cut(words),
    heal: () => this.network.heal(),
    unreachable: ({ words: [who, peer] }) =>
      this.node(who).step({ type: "unreachable", peer: peer as NodeId }),
    report: ({ words }) => this.report(words),
    snapshot: ({ words: [who], fields }) => {
      const compact = fields.get("compact");
      this.node(who).snapshot(compact === undefined ? null : Number(compact));
    },
    late: ({ words: [who, at = ""] }) => this.node(who).finishSnapshot(parsePosition(at)),
    jitter: ({ words: [who, ms] }) => {
      this.node(who).jitterMs = Number(ms);
    },
    status: (line) => this.each(line, (machine) => this.status(machine)),
    log: (line) => this.each(line, (machine) => this.showLog(machine)),
  };

  /** Runs one line and returns what it printed. */
  run(text: string): string[] {
    const quietly = text.startsWith("silently ");
    const line = parseLine(quietly ? text.slice("silently ".length) : text);
    this.out = [];
    try {
      const type = MESSAGE_TYPES.find((name) => name === line.command);
      const command = this.commands[line.command];
      if (type !== undefined && line.fields.has("from")) this.inject(type, line);
      else if (command !== undefined) command(line);
      else throw new Error("no such command");
    } catch (cause) {
      const done = this.out.join("\n");
      throw new Error(`at \`${text}\`: ${String(cause)}\n${done}`, { cause });
    }
    return quietly ? [] : this.out;
  }

  print(line: string): void {
    this.out.push(line);
  }

  send(message: Message): string {
    return this.network.send(message);
  }

  readName(token: number): string {
    return this.reads[token] ?? "?";
  }

  // ---- nodes

  private setOptions(fields: Fields): void {
    const number = (name: string, otherwise: number) => Number(fields.get(name) ?? otherwise);
    const now = this.options;
    this.options = {
      ...now,
      appendEntriesMax: number("entries", now.appendEntriesMax),
      appendBytesMax: number("bytes", now.appendBytesMax),
      window: {
        messages: number("window", now.window.messages),
        bytes: number("windowBytes", now.window.bytes),
      },
      leaseMs: number("lease", now.leaseMs),
      applyEntriesMax: number("apply", now.applyEntriesMax),
      logBytesMax: number("logBytes", now.logBytesMax),
      unappliedBytesMax: number("unappliedBytes", now.unappliedBytesMax),
      unappliedEntriesMax: number("unapplied", now.unappliedEntriesMax),
    };
  }

  /** A new cluster: what was before is forgotten. */
  private makeNodes({ words: [names = ""], fields }: Line): void {
    this.machines.clear();
    this.disks.clear();
    this.network.clear();
    this.oracle.clear();
    const voters = parseNodes(names);
    const learners = parseNodes(fields.get("learners") ?? "");
    this.bootstrap = configurationOf({ voters, learners });
    for (const id of [...voters, ...learners]) this.start(id, new ScriptDisk());
  }

  private makeNode({ words: [id = "n1"], fields }: Line): void {
    const voters = fields.get("voters");
    if (voters !== undefined) this.bootstrap = parseConfiguration(voters);
    const machine = this.start(id as NodeId, new ScriptDisk(this.savedFrom(fields)));
    const before = this.out.length;
    // As if it had been up for long, and a leader had told it of the commit before.
    machine.act(({ core }) => {
      core.noVoteBefore = core.now;
      core.log.commitTo(asIndex(Number(fields.get("commit") ?? 0)));
    });
    this.out.length = before;
  }

  private savedFrom(fields: Fields): Saved {
    const at = fields.get("snapshot");
    const position = at === undefined ? null : parsePosition(at);
    const configuration = parseConfiguration(
      fields.get("config") ?? showConfiguration(this.bootstrap),
    );
    const time = ((position?.index ?? 0) * 1000) as ClusterTime;
    const base = fields.get("base");
    return {
      ...nothingSaved,
      hardState: {
        term: asTerm(Number(fields.get("term") ?? 0)),
        vote: (fields.get("vote") ?? null) as NodeId | null,
      },
      snapshot: position === null ? null : { ...position, time, configuration },
      base: base === undefined ? (position ?? NOWHERE) : parsePosition(base),
      entries: parseEntries(fields.get("log") ?? ""),
      doubt: fields.get("doubt") ?? null,
    };
  }

  private start(id: NodeId, disk: ScriptDisk): Machine {
    const jitterMs = this.machines.get(id)?.jitterMs ?? this.machines.size * JITTER_STEP_MS;
    const machine = new Machine(this, { id, disk, jitterMs });
    this.machines.set(id, machine);
    this.disks.set(id, disk);
    const before = this.out.length;
    machine.start();
    // How they begin is what the script says itself.
    this.out.length = before;
    return machine;
  }

  private node(name: string | undefined): Machine {
    const found = this.machines.get(name as NodeId);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  private each({ words: [names] }: Line, action: (machine: Machine) => void): void {
    const ids = names === undefined ? [...this.machines.keys()] : parseNodes(names);
    for (const id of ids) action(this.node(id));
  }

  private status(machine: Machine): void {
    this.print(machine.state());
    for (const line of machine.progress()) this.print(line);
  }

  private showLog(machine: Machine): void {
    const log = machine.raft?.core.log;
    if (log === undefined) throw new Error(`${machine.id} is down`);
    const from = asIndex(log.base.index + 1);
    const entries = log.batchFrom(from, { entries: Infinity, bytes: Infinity });
    this.print(`${machine.id} ${entries.length > 0 ? showEntries(entries) : "-"}`);
  }

  private endAsync(machine: Machine): void {
    machine.persist(Infinity);
    machine.async = false;
  }

  // ---- time

  private tick(who: string, ms: number): void {
    const machines = who === "*" ? [...this.machines.values()] : [this.node(who)];
    for (let at = 0; at < ms; at += TICK_MS) {
      for (const machine of machines) if (machine.runs) machine.tick(TICK_MS);
    }
  }

  private campaign(machine: Machine): void {
    const round = () => machine.raft?.core.round;
    const before = round();
    for (let i = 0; i < CAMPAIGN_TICKS_MAX && round() === before; i++) machine.tick(TICK_MS);
    if (round() === before) throw new Error(`${machine.id} does not campaign`);
  }

  private elect(machine: Machine): void {
    this.campaign(machine);
    this.stabilize();
    const role = machine.raft?.core.role.kind;
    if (role !== "leader") throw new Error(`${machine.id} is ${role}`);
  }

  /** Everyday life: prints only who leads whom, as it changes. */
  private runFor(ms: number): void {
    const printed: string[] = this.out;
    const known = new Map<NodeId, string>();
    const note = (at: number) => {
      for (const machine of this.machines.values()) {
        const who = machine.state().replace(/ (first|last)=.*/, "");
        const changed = known.has(machine.id) && known.get(machine.id) !== who;
        if (changed) printed.push(`+${at} ${who}`);
        known.set(machine.id, who);
      }
    };
    note(0);
    for (let at = TICK_MS; at <= ms; at += TICK_MS) {
      this.out = [];
      this.tick("*", TICK_MS);
      this.stabilize();
      note(at);
    }
    this.out = printed;
  }

  // ---- requests

  private propose(machine: Machine, data: readonly string[]): void {
    machine.act((raft) => {
      const taken = raft.propose(data.map(bytesOf), machine.now);
      if (typeof taken === "string") this.print(`${machine.id} refuses: ${taken}`);
    });
  }

  private change(machine: Machine, wishes: readonly string[]): void {
    machine.act((raft) => {
      const taken = raft.change(wishes.map(parseChange), machine.now);
      if ("refused" in taken) this.print(`${machine.id} refuses: ${showRefusal(taken)}`);
    });
  }

  private transfer(machine: Machine, target: string | undefined): void {
    machine.act((raft) => {
      const begun = raft.transfer((target ?? null) as NodeId | null, machine.now);
      const what =
        typeof begun === "string" ? `refuses: ${begun}` : `hands over to ${begun.target}`;
      this.print(`${machine.id} ${what}`);
    });
  }

  private read(machine: Machine, names: readonly string[]): void {
    machine.act((raft) => {
      for (const name of names) {
        const lease = this.options.leaseMs > 0 ? { now: machine.now } : null;
        const taken = raft.read(this.reads.push(name) - 1, lease);
        if (!taken) this.print(`${machine.id} refuses: not_leader`);
      }
    });
  }

  // ---- messages

  private inject(type: Message["type"], line: Line): void {
    const to = this.node(line.words[0] ?? "n1");
    const from = line.fields.get("from") as NodeId;
    const term = asTerm(Number(line.fields.get("term")));
    to.step({
      type: "message",
      message: { from, to: to.id, term, ...parseBody(type, line.fields) },
    });
  }

  private deliver(words: readonly string[]): void {
    const paused = (to: NodeId) => this.node(to).paused;
    const messages = this.network.take(parsePattern(words), paused);
    if (messages.length === 0) throw new Error("nothing to deliver");
    this.deliverAll(messages);
  }

  private deliverAll(messages: readonly Message[]): void {
    for (const message of messages) {
      const to = this.node(message.to);
      this.print(`> ${showMessage(message)}${to.isUp ? "" : " ✗"}`);
      if (to.isUp) to.step({ type: "message", message });
    }
  }

  /** Delivers everything, and what follows, until nothing is in flight. */
  private stabilize(): void {
    const all = parsePattern([]);
    const paused = (to: NodeId) => this.node(to).paused;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const messages = this.network.take(all, paused);
      if (messages.length === 0) return;
      this.deliverAll(messages);
    }
    throw new Error("it never gets quiet");
  }

  /** Unlike others of its kind, it may find nothing: then the network is clean already. */
  private drop(words: readonly string[]): void {
    for (const message of this.network.take(parsePattern(words))) {
      this.print(`✗ ${showMessage(message)}`);
    }
  }

  private show(what: string, messages: readonly Message[]): void {
    if (messages.length === 0) throw new Error("no such message");
    for (const message of messages) this.print(`${what} ${showMessage(message)}`);
  }

  /** `n1→n2` one way, `n1-n2` both ways, `n1` from and to everybody else. */
  private cut(words: readonly string[]): void {
    for (const word of words) {
      const link = parseLink(word);
      const [a = "", b] = word.split("-");
      if (link !== null) this.network.cut(link.from, link.to);
      else if (b !== undefined) this.cutBoth(a, b);
      else for (const other of this.machines.keys()) this.cutBoth(a, other);
    }
  }

  private cutBoth(a: string, b: string): void {
    this.network.cut(a, b);
    this.network.cut(b, a);
  }

  /** Of the newest transfer on the link, or, with `earlier`, of the one before it. */
  private report([link = "", how, which]: readonly string[]): void {
    const ends = parseLink(link);
    if (ends === null || (how !== "ok" && how !== "failed")) throw new Error("report n1→n2 ok");
    const peer = ends.to as NodeId;
    const node = this.node(ends.from);
    const transfer = node.transfers.get(peer)?.at(which === "earlier" ? -2 : -1) ?? 0;
    node.step({ type: "snapshotSent", peer, transfer, ok: how === "ok" });
  }
}

function parseLine(text: string): Line {
  const [command = "", ...rest] = splitOutside(text, " ");
  const words: string[] = [];
  const fields = new Map<string, string>();
  for (const word of rest) {
    const at = word.indexOf("=");
    if (at > 0) fields.set(word.slice(0, at), word.slice(at + 1));
    else if (word === "yes" || word === "no") fields.set(word, "");
    else words.push(word);
  }
  return { command, words, fields };
}
