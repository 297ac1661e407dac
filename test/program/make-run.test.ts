/** `make run` and what goes with it: three nodes that come, die, come back, and go together. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { until } from "../integration/until.ts";
import { MakeRun, ROOT, toolMissing } from "./make-run.ts";

// Whole clusters of processes, while other tests run beside.
vi.setConfig({ testTimeout: 90_000 });

const run = promisify(execFile);

/** The last line that `make` printed, whether it failed or not. */
async function make(running: MakeRun, ...args: readonly string[]): Promise<string> {
  const result = await run("make", ["--silent", ...args, ...running.variables], {
    cwd: ROOT,
  }).catch((error: { stdout: string }) => error);
  return result.stdout.trim();
}

describe.skipIf(toolMissing !== null)(
  toolMissing ? `${toolMissing} is missing` : "make run",
  () => {
    test("the leader is killed and brought back, and Ctrl-C ends all", async () => {
      const running = await MakeRun.start();
      await running.ready();
      expect(running.nodes()).toHaveLength(3);
      for (const name of ["n1", "n2", "n3"]) expect(running.output).toContain(`\n${name} | `);

      const [, killed] =
        /^(n\d) led, and was killed/.exec(await make(running, "kill-leader")) ?? [];
      if (killed === undefined) throw new Error("nobody was killed");
      expect(running.nodes()).toHaveLength(2);
      expect(await make(running, "start", "NODE=n9")).toBe("no: NODE must be one of n1, n2, n3");
      // It is a word for this program, and nothing to the shell.
      expect(await make(running, "start", "NODE=n1;kill $$$$ 'x'")).toMatch(/^no: NODE must be/);
      expect(await make(running, "start", `NODE=${killed}`)).toContain(
        `${killed} is starting again`,
      );
      expect(await make(running, "start", `NODE=${killed}`)).toBe(`no: ${killed} is running`);
      const url = `http://127.0.0.1:${running.clientPort + Number(killed.slice(1)) - 1}/readyz`;
      await until("it is ready", async () => (await fetch(url).catch(() => null))?.ok === true);

      running.signal("SIGINT");
      await running.exited;
      expect(running.nodes()).toEqual([]);
      expect(running.output.match(/INFO: stopped/g)).toHaveLength(3);
      expect(await make(running, "kill-leader")).toBe(
        "make run is not running: start it in another terminal first",
      );
    });

    test("remove-node asks another node where one does not answer", async () => {
      const running = await MakeRun.start();
      await running.ready();
      expect(await make(running, "add-node")).toMatch(/^n4 joins at /);
      const members = `http://127.0.0.1:${running.clientPort + 1}/v1/cluster/members/n4`;
      await until(
        "n4 votes",
        async () => ((await (await fetch(members)).json()) as { role: string }).role === "voter",
        30_000,
      );
      const n1 = running.nodes().find((line) => line.includes("--name n1 "));
      const pid = Number(n1?.trim().split(" ")[0]);
      process.kill(pid, "SIGSTOP");
      const said = await make(running, "remove-node", "NODE=n3");
      process.kill(pid, "SIGCONT");
      expect(said).toBe("n3 is no member any more, and its data is removed");
    });

    test("a taken port is one clear line, and nothing stays behind", async () => {
      const running = await MakeRun.start();
      await running.ready();
      const second = await MakeRun.start({ clientPort: running.clientPort });
      expect(await second.exited).toBe(2);
      const port = `port ${running.clientPort} is taken: end what listens there`;
      expect(second.output).toContain(`make run: ${port}`);
      expect(second.nodes()).toEqual([]);
    });

    test("it runs once for each folder", async () => {
      const running = await MakeRun.start();
      await running.ready();
      const { stderr } = await run("make", ["run", ...running.variables], { cwd: ROOT }).catch(
        (error: { stderr: string }) => error,
      );
      expect(stderr).toContain("make run: make run is running already, in another terminal");
      expect(running.nodes()).toHaveLength(3);
    });

    test("a data directory of another cluster is one clear line", async () => {
      const running = await MakeRun.start();
      await running.ready();
      running.signal("SIGINT");
      await running.exited;
      // Other ports, so another cluster.
      const other = await MakeRun.start({ folder: running.folder });
      expect(await other.exited).toBe(2);
      expect(other.output).toContain("belongs to another cluster");
      expect(other.output).toMatch(/make run: n\d could not start: see its last line/);
      expect(other.nodes()).toEqual([]);
    });

    test("even kill -9 leaves no node behind", async () => {
      const running = await MakeRun.start();
      await running.ready();
      running.signal("SIGKILL");
      await until("all nodes are gone", () => running.nodes().length === 0);
      await running.exited;
    });
  },
);

test.skipIf(toolMissing !== null)("a port taken by something else", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const address = taken.address();
  const clientPort = typeof address === "object" && address !== null ? address.port : 0;
  const running = await MakeRun.start({ clientPort });
  expect(await running.exited).toBe(2);
  expect(running.output).toContain(`make run: port ${clientPort} is taken`);
  taken.close();
});
