/** `quorate backup`, `restore` and `recover` from the command line: what they say, and when not. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { contentOf } from "../service/frozen.ts";
import { keyFor } from "../service/lab.ts";
import { temporaryFolder } from "../program/offline/data-dirs.ts";
import { printed, quorate } from "./run.ts";
import { NOBODY, Site } from "./site.ts";

let site: Site;
beforeAll(async () => {
  site = await Site.start();
}, 30_000);
afterAll(() => site.end());

async function put(key: string, value: string): Promise<number> {
  return Number(printed(await site.run(["put", key, value]))["revision"]);
}

describe("backup", () => {
  test("in a pipe is a line of JSON, and a file that nobody else can read", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "monday.backup");
    const revision = await put("b/pipe", "hello");
    const bytes = await site.run(["backup", file]);
    const size = statSync(file).size;
    expect(printed(bytes)).toEqual({ file, revision, bytes: size, node: "n1" });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { store } = contentOf(readFileSync(file));
    expect(store.revision).toBe(revision);
    expect(Buffer.from(store.get(keyFor("b/pipe"))?.value ?? []).toString()).toBe("hello");
    expect(readdirSync(folder)).toEqual(["monday.backup"]);
  });

  test("at a terminal shows how far it is, and then what there is", async () => {
    const file = join(temporaryFolder(), "b");
    for (let at = 0; at < 5; at++) await put(`b/large/${at}`, "x".repeat(100_000));
    const { code, stdout, stderr } = await site.run(["backup", file], { terminal: true });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^\r\d+\.\d MB received/);
    const last = stdout.trimEnd().split("\u001b[K").at(-1);
    expect(last).toMatch(/^\S+ has revision \d+, from n1: 0\.5 MB$/);
  });

  test("replaces a file only by one that is whole", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "b");
    writeFileSync(file, "the old one");
    const nobody = await quorate(["backup", file, "--endpoints", NOBODY]);
    expect(nobody.code).toBe(3);
    expect(nobody.stderr).toMatch(
      /^quorate: .*start a node there, or name others with --endpoints/,
    );
    expect(readFileSync(file, "utf8")).toBe("the old one");
    expect(readdirSync(folder)).toEqual(["b"]);
    expect((await site.run(["backup", file])).code).toBe(0);
    contentOf(readFileSync(file));
    expect(readdirSync(folder)).toEqual(["b"]);
  });

  test("asks the next endpoint where one does not answer", async () => {
    const file = join(temporaryFolder(), "b");
    const both = `${NOBODY},${site.endpoints}`;
    expect(printed(await quorate(["backup", file, "--endpoints", both]))["node"]).toBe("n1");
  });

  test.each([
    ["ends early", (whole: Buffer) => whole.subarray(0, whole.length - 1)],
    ["is damaged on its way", (whole: Buffer) => whole.fill(0, 60, 61)],
  ])("that %s leaves no file", async (_what, spoil) => {
    const folder = temporaryFolder();
    const response = await fetch(`${site.endpoints}/v1/admin/backup`);
    const spoiled = spoil(Buffer.from(await response.arrayBuffer()));
    const headers = Object.fromEntries(
      ["quorate-node", "quorate-revision"].map((name) => [name, response.headers.get(name) ?? ""]),
    );
    const proxy = createServer((_request, reply) => {
      reply.writeHead(200, headers);
      reply.end(spoiled);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      proxy.close();
    });
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const { code, stderr } = await quorate(["backup", join(folder, "b"), "--endpoints", url]);
    expect(stderr).toMatch(/^quorate: what n1 sent is no whole backup \(.+\): try again\n$/);
    expect(code).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("that cannot be written says why", async () => {
    const { code, stderr } = await site.run(["backup", "/nowhere/b"]);
    expect(stderr).toMatch(/^quorate: cannot write \/nowhere\/b: ENOENT.*\n$/);
    expect(code).toBe(3);
  });
});

describe("restore and recover", () => {
  test("say what they have made, and how to start it", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "b");
    const revision = await put("r", "1");
    await site.run(["backup", file]);
    const dataDir = join(folder, "n1");
    const flags = ["--name", "n1", "--data-dir", dataDir];
    const cluster = ["--initial-cluster", "n1=http://127.0.0.1:5001"];
    const made = printed(await quorate(["restore", file, ...flags, ...cluster]));
    expect(made).toMatchObject({ name: "n1", data_dir: dataDir, revision });
    const again = await quorate(["restore", file, ...flags, ...cluster]);
    expect(again).toMatchObject({ code: 3, stdout: "" });
    expect(again.stderr).toMatch(/^quorate: .* is not empty .*\n$/);

    const accepted = ["recover", ...flags, "--i-accept-data-loss"];
    const recovered = await quorate(accepted, { terminal: true });
    expect(recovered.code).toBe(0);
    expect(recovered.stdout).toContain(`quorate serve --name n1 --data-dir ${dataDir} …`);
    expect(recovered.stderr).toMatch(
      /^quorate: LOST: .* after entry \d+ of term \d+\. .*Never start the other nodes.*\n$/,
    );
  });

  test("take their settings from the environment, too, as serve does", async () => {
    const folder = temporaryFolder();
    const file = join(folder, "b");
    await site.run(["backup", file]);
    const env = {
      QUORATE_NAME: "n9",
      QUORATE_DATA_DIR: join(folder, "n9"),
      QUORATE_INITIAL_CLUSTER: "n8=http://127.0.0.1:5008,n9=http://127.0.0.1:5009",
    };
    expect(printed(await quorate(["restore", file], { env }))["name"]).toBe("n9");
    const other = await quorate(["restore", file, "--name", "n7"], { env });
    expect(other.stderr).toContain("--initial-cluster lists n8, n9, but not this node");
    expect(other.code).toBe(2);
  });

  test("recover does nothing without its flag, and says what would be lost", async () => {
    const { code, stderr } = await quorate(["recover", "--data-dir", "/nowhere"]);
    expect(stderr).toMatch(/^quorate: a recovery loses every write .* add --i-accept-data-loss\n$/);
    expect(code).toBe(2);
  });
});
