/** What the tests of the commands have in common: a real cluster, and commands that are told it. */
import { onTestFinished } from "vitest";
import { Cluster, type ClusterOptions } from "../integration/cluster.ts";
import { type Given, quorate, type Result, Running } from "./run.ts";

export const NOBODY = "http://127.0.0.1:1";

export class Site {
  readonly cluster: Cluster;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  /** A cluster of one, unless it says otherwise. */
  static async start(options: ClusterOptions = { size: 1 }): Promise<Site> {
    return new Site(await Cluster.start(options));
  }

  get endpoints(): string {
    return this.cluster.members.map(({ url }) => url).join(",");
  }

  /** Runs a command to its end. */
  run(args: readonly string[], given: Omit<Given, "env"> = {}): Promise<Result> {
    return quorate(args, { ...given, env: { QUORATE_ENDPOINTS: this.endpoints } });
  }

  /** Starts a command, to end with the test. */
  start(args: readonly string[], given: Omit<Given, "env"> = {}): Running {
    const running = new Running(args, { ...given, env: { QUORATE_ENDPOINTS: this.endpoints } });
    onTestFinished(() => running.kill());
    return running;
  }

  async end(): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }
}
