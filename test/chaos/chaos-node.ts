/** One node of the cluster under chaos: its process, its disk, and how it may end. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Member, Settings } from "../integration/cluster.ts";
import type { Exit, NodeProcess } from "../integration/node-process.ts";
import { until } from "../integration/until.ts";
import { Volume } from "./volume.ts";

/** What a node says when its disk lets it down. */
const DISK_LINE = /^cannot (append|cut|rename|read|remove|lock|use)\b|^\S+ cannot be read/;
/** For a process whose disk has failed to end. */
const LAST_WORDS_MS = 1_000;
/** Most faults wait so long for the nodes that they took down, or there would be no quorum ever. */
const COME_BACK_MS = 5_000;
/** For a node that runs to say how it is: it needs nobody else for that. */
const ANSWER_MS = 20_000;
/** Files that only an unfinished piece of work leaves behind. */
const TEMPORARY = /\.tmp$|^incoming-/;

export class ChaosNode {
  readonly member: Member;
  /** Null: its data is in a plain directory. */
  readonly volume: Volume | null;
  readonly dataDir: string;
  /** Every end of a process, or line of its log, that nothing explains. */
  readonly problems: string[] = [];
  /** The kinds of warnings of all its processes, once for each. */
  readonly warnings: string[] = [];
  readonly #processes: NodeProcess[] = [];
  readonly #settings: Settings;
  /** Whether the end of the process that runs now is intended, or its disk is being hurt. */
  #mayBeKilled = false;
  #mayFail = false;
  #isPaused = false;

  constructor(member: Member, volume: Volume | null, settings: Settings) {
    this.member = member;
    this.volume = volume;
    this.dataDir = volume?.dataDir ?? member.dataDir;
    this.#settings = { ...settings, "data-dir": this.dataDir };
  }

  get name(): string {
    return this.member.name;
  }

  get url(): string {
    return this.member.url;
  }

  /** How often a process was started. */
  get starts(): number {
    return this.#processes.length;
  }

  /** What all its processes said, one after another. */
  get log(): string {
    return this.#processes
      .flatMap(({ pid, lines, stderr, exit }) => [
        `--- process ${pid}, which ended with ${JSON.stringify(exit)}`,
        ...lines.map((line) => JSON.stringify(line)),
        stderr,
      ])
      .join("\n");
  }

  get isRunning(): boolean {
    return this.member.isRunning;
  }

  get pid(): number {
    return this.member.process.pid;
  }

  /** Starts it, if it is down. */
  start(): void {
    if (this.isRunning) return;
    this.#mayBeKilled = false;
    this.#mayFail = false;
    const process = this.member.start(this.#settings);
    this.#processes.push(process);
    void process.exited.then((exit) => this.#judge(process, exit));
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    this.#mayBeKilled = true;
    await this.member.kill();
    this.#isPaused = false;
  }

  /** In good order. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const exit = await this.member.stop();
    if (exit.code !== 0) this.problems.push(`${this.name} did not stop: ${JSON.stringify(exit)}`);
  }

  pause(): void {
    if (this.isRunning) this.member.process.signal("SIGSTOP");
    this.#isPaused = true;
  }

  resume(): void {
    if (this.isRunning && this.#isPaused) this.member.process.signal("SIGCONT");
    this.#isPaused = false;
  }

  /** From now on its process may end because of its disk. */
  hurtDisk(): void {
    this.#mayFail = true;
  }

  /** The disk is as it should be again, and whoever has ended because of it starts anew. */
  async healDisk(): Promise<void> {
    this.volume?.makeRoom();
    // The process may just be learning of the failure, and be on its way out.
    await Promise.race([this.member.process.exited, sleep(LAST_WORDS_MS)]);
    if (this.isRunning) this.#mayFail = false;
    else await this.comeBack();
  }

  /** Starts it, and gives it some time to take part again, whatever else keeps it from that. */
  async comeBack(): Promise<void> {
    this.start();
    const startedAt = performance.now();
    const isBack = async () =>
      performance.now() - startedAt > COME_BACK_MS || (await this.member.isReady());
    await until(`${this.name} has come back`, isBack, 2 * COME_BACK_MS);
  }

  /** Resolves when it answers: it is past its start. */
  async answers(): Promise<void> {
    const asked = async () => (await this.member.status()) !== null;
    await until(`${this.name} answers`, asked, ANSWER_MS);
  }

  /** The power of this node fails, process and disk at once, and comes back. */
  async cutPower(): Promise<void> {
    if (this.volume === null) throw new Error("no volume");
    this.hurtDisk();
    await Volume.cutPowerOf([this.volume], this.isRunning ? [this.pid] : []);
    await this.kill();
    await this.volume.restorePower();
  }

  /** Resident memory in MiB and open files; null: it is not running. */
  vitals(): { readonly rssMb: number; readonly files: number } | null {
    if (!this.isRunning) return null;
    try {
      const [, kb] = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${this.pid}/status`)) ?? [];
      if (kb === undefined) return null;
      return { rssMb: Number(kb) / 1024, files: readdirSync(`/proc/${this.pid}/fd`).length };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null; // It has just ended.
      throw error;
    }
  }

  /** Resolves when no unfinished work is left in the data directory. */
  async tidy(): Promise<void> {
    const isTidy = () => !readdirSync(this.dataDir).some((name) => TEMPORARY.test(name));
    await until(`${this.name} has no temporary files`, isTidy, 20_000);
  }

  /** Names in the data directory that tell of damage, or of work that was never cleaned up. */
  leftovers(): string[] {
    if (!existsSync(this.dataDir)) return [`${this.name} has no data directory`];
    const isBad = (name: string) => TEMPORARY.test(name) || name.endsWith(".damaged");
    return readdirSync(this.dataDir).filter(isBad);
  }

  #judge(process: NodeProcess, { code, signal }: Exit): void {
    const fatal = [...process.messages("fatal"), ...process.messages("error")];
    for (const line of process.messages("warn")) {
      this.warnings.push(line.replace(/\d+/g, "#").slice(0, 60));
    }
    const isOfDisk = this.#mayFail && fatal.every((line) => DISK_LINE.test(line));
    const wasKilled = signal === "SIGKILL" && this.#mayBeKilled;
    const isKnown = wasKilled || code === 0 || (code === 1 && isOfDisk && fatal.length > 0);
    const isQuiet = process.stderr === "" && (fatal.length === 0 || isOfDisk);
    if (isKnown && isQuiet) return;
    const how = `ended with ${signal ?? `code ${code}`}`;
    const said = [...fatal, process.stderr.trim()].filter((text) => text !== "").join(" | ");
    this.problems.push(`${this.name} ${how} at start ${this.starts}: ${said || "(silent)"}`);
  }
}

function read(path: string): string {
  return readFileSync(path, "utf8");
}
