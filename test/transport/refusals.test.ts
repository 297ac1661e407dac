/** Nodes that must not talk to each other say so, once, in one clear line (E15). */
import { Client } from "undici";
import { afterEach, describe, expect, test, vi } from "vitest";
import { isRefusalCode, REFUSALS } from "../../src/transport/identity.ts";
import { encodeMessages } from "../../src/transport/codec.ts";
import { appendOf, heartbeatOf, n1, n2 } from "./arbitrary.ts";
import { Lab, type RunningServer, until } from "./peers.ts";

const lab = new Lab();
afterEach(() => lab.close());

const good = {
  "content-type": "application/msgpack",
  "quorate-protocol": "1",
  "quorate-cluster": "c1",
  "quorate-from": "n1",
  "quorate-to": "n2",
  "quorate-incarnation": "n1-first",
  "quorate-since": "0",
  "quorate-life": "0",
  "quorate-peer-url": "http://127.0.0.1:1",
};

async function postWith(server: RunningServer, headers: Record<string, string | undefined>) {
  const client = new Client(server.url);
  const body = encodeMessages([heartbeatOf(1, 1)]);
  const given = Object.entries({ ...good, ...headers }).filter(([, value]) => value !== undefined);
  const reply = await client.request({
    method: "POST",
    path: "/raft/v1/messages",
    headers: given.flat() as string[],
    body,
  });
  const text = await reply.body.text();
  await client.destroy();
  const answer = text === "" ? {} : (JSON.parse(text) as { code: string; error: string });
  return { status: reply.statusCode, ...answer };
}

describe("the server, before it reads the body", () => {
  test("takes what is in order", async () => {
    const server = await lab.server();
    expect(await postWith(server, {})).toEqual({ status: 204 });
    expect(server.received).toHaveLength(1);
  });

  test.each<[string, Record<string, string | undefined>, number, string]>([
    ["another protocol", { "quorate-protocol": "2" }, 400, "PROTOCOL_MISMATCH"],
    ["no protocol", { "quorate-protocol": undefined }, 400, "PROTOCOL_MISMATCH"],
    ["another cluster", { "quorate-cluster": "c2" }, 412, "CLUSTER_MISMATCH"],
    ["no cluster", { "quorate-cluster": undefined }, 412, "CLUSTER_MISMATCH"],
    ["another receiver", { "quorate-to": "n3" }, 412, "NOT_ME"],
    ["no receiver", { "quorate-to": undefined }, 412, "NOT_ME"],
    ["no sender", { "quorate-from": undefined }, 400, "BAD_HEADERS"],
    ["a sender that is no node id", { "quorate-from": "a b" }, 400, "BAD_HEADERS"],
    ["no place in the log", { "quorate-since": "soon" }, 400, "BAD_HEADERS"],
    ["no incarnation", { "quorate-incarnation": undefined }, 400, "BAD_HEADERS"],
    ["a sender of the server's name", { "quorate-from": "n2" }, 409, "DUPLICATE_NAME"],
    ["an unknown sender", { "quorate-from": "n9" }, 403, "UNKNOWN_MEMBER"],
    ["another incarnation", { "quorate-incarnation": "n1-second" }, 410, "WRONG_INCARNATION"],
    ["a member of the past", { "quorate-incarnation": "n1-gone" }, 410, "REMOVED"],
    ["another life of it", { "quorate-to-life": "9" }, 412, "NOT_ME"],
    ["no life", { "quorate-life": "x" }, 400, "BAD_HEADERS"],
    ["no address", { "quorate-peer-url": "nowhere" }, 400, "BAD_HEADERS"],
    ["a new incarnation", { "quorate-incarnation": "n1-new" }, 503, "INCARNATION_PENDING"],
  ])("refuses %s", async (_what, headers, status, code) => {
    const server = await lab.server({
      admission: {
        admit: ({ from, incarnation }) => {
          if (from !== n1) return "stranger";
          if (incarnation === "n1-gone") return "removed";
          if (incarnation === "n1-new") return "later";
          return incarnation === "n1-first" ? "yes" : "no";
        },
      },
    });
    expect(await postWith(server, headers)).toMatchObject({ status, code });
    expect(isRefusalCode(code) && REFUSALS[code]).toBe(status);
    expect(server.received).toEqual([]);
  });

  test("tells who takes it for a member of another cluster, and nothing else", async () => {
    const server = await lab.server();
    await postWith(server, { "quorate-cluster": "of-others", "quorate-to": "n3" });
    await postWith(server, { "quorate-incarnation": "" });
    await postWith(server, { "quorate-cluster": "no\tname" });
    expect(server.mistaken).toEqual([]);
    await postWith(server, { "quorate-cluster": "of-others" });
    expect(server.mistaken).toEqual(["of-others"]);
  });

  test("shows nothing that was sent to it but as harmless text", async () => {
    const server = await lab.server();
    const { error } = (await postWith(server, { "quorate-cluster": `\t${"x".repeat(500)}é` })) as {
      error?: string;
    };
    expect(error).toMatch(/^[\x20-\x7e]{10,200}$/);
  });
});

describe("the transport", () => {
  test("tells of a refusal once for each change, and again after it was lifted", async () => {
    const admit = vi.fn<() => "yes" | "no" | "later">(() => "no");
    const server = await lab.server({ admission: { admit } });
    const { transport, onRefused, onUnreachable } = lab.transport();
    transport.setPeers(new Map([[n2, server.url]]));
    const sendUntil = async (condition: () => boolean, what: string) => {
      const timer = setInterval(() => transport.send(n2, [appendOf(1, [])]), 1);
      await until(condition, what).finally(() => clearInterval(timer));
    };
    const codes = () => onRefused.mock.calls.map(([, code]) => code);

    await sendUntil(() => onUnreachable.mock.calls.length >= 4, "refused often");
    expect(codes()).toEqual(["WRONG_INCARNATION"]);
    const line = `n2 at ${server.url} knows n1 with another data directory`;
    expect(onRefused.mock.calls[0]).toEqual([n2, "WRONG_INCARNATION", line]);

    admit.mockReturnValue("later");
    await sendUntil(() => codes().length === 2, "refused for another reason");
    admit.mockReturnValue("yes");
    await sendUntil(() => server.received.length > 0, "let in");
    admit.mockReturnValue("later");
    await sendUntil(() => codes().length === 3, "refused again, for the same reason as last");
    expect(codes()).toEqual(["WRONG_INCARNATION", "INCARNATION_PENDING", "INCARNATION_PENDING"]);
  });

  test("does not take a hello that was answered for the end of a refusal", async () => {
    const server = await lab.server({ admission: { admit: () => "stranger" } });
    const { transport, onRefused } = lab.transport();
    transport.setPeers(new Map([[n2, server.url]]));
    for (let i = 0; i < 3; i++) {
      await transport.calls.hello(n2, 1000);
      await expect(transport.calls.readIndex(n2, 1000)).rejects.toThrow("does not know n1");
    }
    expect(onRefused).toHaveBeenCalledTimes(1);
  });

  test.each([
    ["another cluster", { self: { cluster: "c2" } }, "belongs to another cluster: c2, not c1"],
    ["another node", { self: { id: "n5" as typeof n1 } }, "is n5, not n2"],
  ])("says plainly that it reached %s", async (_what, plan, text) => {
    const server = await lab.server(plan);
    const { transport, onRefused } = lab.transport();
    transport.setPeers(new Map([[n2, server.url]]));
    transport.send(n2, [appendOf(1, [])]);
    await until(() => onRefused.mock.calls.length === 1, "refused");
    expect(onRefused.mock.calls[0]?.[2]).toBe(`n2 at ${server.url} ${text}`);
  });

  test("says plainly that a peer has its own name", async () => {
    const server = await lab.server();
    const { transport, onRefused } = lab.transport({ self: { id: n2 } });
    transport.setPeers(new Map([[n2, server.url]]));
    transport.send(n2, [appendOf(1, [])]);
    await until(() => onRefused.mock.calls.length === 1, "refused");
    expect(onRefused.mock.calls[0]?.[2]).toBe(`n2 at ${server.url} is named n2 too`);
  });

  test("lets no peer write into its log what it likes", async () => {
    const body = JSON.stringify({ code: "NOT_ME", error: `\n\u001b[31mpanic ${"x".repeat(9999)}` });
    const evil = await lab.raw((socket) => {
      const head = `HTTP/1.1 412 X\r\ncontent-length: ${body.length}\r\n\r\n`;
      socket.once("data", () => socket.write(head + body));
    });
    const { transport, onRefused } = lab.transport();
    transport.setPeers(new Map([[n2, evil.url]]));
    transport.send(n2, [appendOf(1, [])]);
    await until(() => onRefused.mock.calls.length === 1, "refused");
    expect(onRefused.mock.calls[0]?.[2]).toMatch(/^[\x20-\x7e]{1,300}$/);
  });

  test.each([
    ["an unknown code", '{"code":"__proto__","error":"x"}'],
    ["an inherited code", '{"code":"toString","error":"x"}'],
    ["no text", '{"code":"NOT_ME"}'],
    ["no object", "[]"],
    ["nothing", "null"],
    ["no JSON", "<html>"],
  ])("takes a 412 with %s for a mere failure", async (_what, body) => {
    const strange = await lab.raw((socket) => {
      const head = `HTTP/1.1 412 X\r\ncontent-length: ${body.length}\r\n\r\n`;
      socket.once("data", () => socket.write(head + body));
    });
    const { transport, onRefused, onUnreachable } = lab.transport();
    transport.setPeers(new Map([[n2, strange.url]]));
    transport.send(n2, [appendOf(1, [])]);
    await until(() => onUnreachable.mock.calls.length === 1, "failed");
    expect(onRefused).not.toHaveBeenCalled();
  });
});
