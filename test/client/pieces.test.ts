/** The small pieces of the client, by themselves. */
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { secondsOf, wholeNumber } from "../../src/client/checks.ts";
import { errorIn, isPassing, QuorateError } from "../../src/client/error.ts";
import { keepRenewed, renewAt, sureUntil } from "../../src/client/renewal.ts";
import { pauseMs, RetryBudget } from "../../src/client/retry-budget.ts";
import { entryOf, pathOf, queryOf, wireValue } from "../../src/client/values.ts";
import { type Batch, batchesIn } from "../../src/client/watch-stream.ts";

describe("the retry budget", () => {
  test("lets a hundred go at once, and then one for ten requests", () => {
    const budget = new RetryBudget();
    const spent = () => Array.from({ length: 200 }, () => budget.spend()).filter(Boolean).length;
    expect(spent()).toBe(100);
    for (let request = 0; request < 51; request++) budget.earn();
    expect(spent()).toBe(5);
    for (let request = 0; request < 5_000; request++) budget.earn();
    expect(spent()).toBe(100);
  });

  test("pauses grow up to two seconds, and differ", () => {
    const longest = [1, 2, 5, 50].map((retry) => Math.min(2_000, 50 * 2 ** retry));
    for (const [at, retry] of [1, 2, 5, 50].entries()) {
      const pauses = Array.from({ length: 100 }, () => pauseMs(retry));
      const most = longest[at] ?? 0;
      for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(most / 2);
      for (const pause of pauses) expect(pause).toBeLessThanOrEqual(most);
      expect(new Set(pauses).size).toBeGreaterThan(10);
    }
  });
});

describe("values", () => {
  test("bytes that are no text are in base64", () => {
    const whole = new Uint8Array([1, 2, 255, 254, 3]);
    expect(wireValue(whole.subarray(2, 4))).toEqual({ value: "//4=", encoding: "base64" });
    const metadata = { version: 1, create_revision: 2, mod_revision: 3 };
    const entry = entryOf({ key: "k", value: "//4=", encoding: "base64", ...metadata });
    expect([...entry.bytes]).toEqual([255, 254]);
    expect(entry.value).toBe("\ufffd\ufffd");
  });

  test("paths and queries hold any text", () => {
    expect(pathOf("kv", "a/../ä?")).toBe("/v1/kv/a%2F..%2F%C3%A4%3F");
    expect(queryOf({ a: "&=", b: undefined, c: false, d: true, e: 0 })).toBe(
      "?a=%26%3D&d=true&e=0",
    );
    expect(queryOf({})).toBe("");
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])("%d is no whole number of the store", (value) => {
    expect(() => wholeNumber("n", value)).toThrow(/^n must be a whole number of at least 0/);
  });

  test("milliseconds become seconds", () => {
    expect(secondsOf("t", 250)).toBe(0.25);
    expect(secondsOf("t", undefined)).toBeUndefined();
    expect(() => secondsOf("t", -1)).toThrow(TypeError);
  });
});

describe("errors", () => {
  const body = { code: "OVERLOADED", error: "x", outcome: "not_applied", retryable: true };

  test("are as the node says; whatever else comes is BAD_ANSWER, and unknown", () => {
    expect(errorIn(503, JSON.stringify(body))).toMatchObject({
      code: "OVERLOADED",
      outcome: "not_applied",
      retryable: true,
      message: "OVERLOADED: x",
    });
    for (const text of ["", "<html>", "null", "[]", '{"code":1}']) {
      expect(errorIn(500, text)).toMatchObject({ code: "BAD_ANSWER", outcome: "unknown" });
    }
    const vague = { ...body, outcome: "perhaps" };
    expect(errorIn(503, JSON.stringify(vague)).outcome).toBe("unknown");
  });

  test("those of the request itself do not pass", () => {
    const passing = [400, 404, 409, 410, 412, 408, 429, 500, 502, 503, 504].filter((status) =>
      isPassing(errorIn(status, JSON.stringify(body))),
    );
    expect(passing).toEqual([408, 429, 500, 502, 503, 504]);
  });
});

describe("events", () => {
  const put = (key: string, revision: number) =>
    `event: put\ndata: {"key":"${key}","value":"ä","version":1,"mod_revision":${revision},` +
    `"create_revision":${revision}}\n\n`;
  const stream =
    `retry: 1000\n\nid: 6\nevent: progress\ndata: {"revision":6}\n\n:\n\n${put("a", 7)}` +
    `id: 7\nevent: delete\ndata: {"key":"b","mod_revision":7}\n\nevent: news\ndata: {}\n\n` +
    `id: 8\n${put("c", 8)}${put("d", 9)}`;

  async function batches(chunks: readonly Uint8Array[]): Promise<Batch[]> {
    const found: Batch[] = [];
    for await (const batch of batchesIn(Readable.from(chunks))) {
      if (batch !== null) found.push(batch);
    }
    return found;
  }

  test("are told a revision at a time, wherever the pieces end", async () => {
    const bytes = new TextEncoder().encode(stream);
    for (let at = 0; at <= bytes.length; at++) {
      const found = await batches([bytes.subarray(0, at), bytes.subarray(at)]);
      const told = found.map(({ revision, events }) => [revision, events.map(({ type }) => type)]);
      // What has no id is no whole revision, and is not told: the watch asks for it again.
      expect(told).toEqual([
        [6, ["progress"]],
        [7, ["put", "delete"]],
        [8, ["put"]],
      ]);
    }
  });

  test("an error event says whether the watch can go on", async () => {
    const ended = (code: string) =>
      batches([new TextEncoder().encode(`event: error\ndata: {"code":"${code}","oldest":3}\n\n`)]);
    const lagged = await ended("LAGGED").catch((error: unknown) => error);
    expect(isPassing(lagged as QuorateError)).toBe(true);
    const forgotten = await ended("REVISION_COMPACTED").catch((error: unknown) => error);
    expect(isPassing(forgotten as QuorateError)).toBe(false);
    expect(forgotten).toMatchObject({ code: "REVISION_COMPACTED", details: { oldest: 3 } });
  });
});

describe("renewal", () => {
  const failure = (code: string) =>
    new QuorateError(code, { code, outcome: "unknown", retryable: false, status: 504 });

  test("X8: what is renewed counts from before the request, and is sure for a little less", () => {
    const term = { since: 1_000, ttlMs: 3_000 };
    expect(renewAt(term)).toBe(2_000);
    expect(sureUntil(term)).toBeGreaterThan(3_500);
    expect(sureUntil(term)).toBeLessThan(4_000);
  });

  test("X8: failures are tried again while there is time, and not longer", async () => {
    const since = performance.now();
    const attempts: number[] = [];
    const renew = () => {
      attempts.push(performance.now());
      return Promise.reject(failure("COMMIT_TIMEOUT"));
    };
    const { signal } = new AbortController();
    const keeping = keepRenewed({ since, ttlMs: 300 }, { renew, onRenewed: () => {}, signal });
    await expect(keeping).rejects.toThrow("COMMIT_TIMEOUT");
    expect(attempts.length).toBeGreaterThan(3);
    expect((attempts[0] ?? 0) - since).toBeGreaterThan(95);
    expect(performance.now() - since).toBeGreaterThan(280);
  });

  test("however long it lives, no attempt takes longer than a call may", async () => {
    const stop = new AbortController();
    const hourMs = 3_600_000;
    const timeouts: (number | undefined)[] = [];
    const renew = ({ timeoutMs }: { readonly timeoutMs?: number | undefined }) => {
      timeouts.push(timeoutMs);
      return Promise.resolve();
    };
    const term = { since: performance.now() - 12 * hourMs, ttlMs: 30 * hourMs };
    const onRenewed = () => stop.abort();
    await keepRenewed(term, { renew, onRenewed, signal: stop.signal });
    expect(timeouts).toHaveLength(1);
    expect(timeouts[0]).toBeLessThanOrEqual(300_000);
  });

  test("what is gone is not renewed again; what is stopped resolves", async () => {
    let calls = 0;
    const renew = () => {
      calls += 1;
      return Promise.reject(failure("LOCK_HELD"));
    };
    const term = { since: performance.now(), ttlMs: 90 };
    const stop = new AbortController();
    const options = { renew, onRenewed: () => {}, signal: stop.signal };
    await expect(keepRenewed(term, options)).rejects.toThrow("LOCK_HELD");
    expect(calls).toBe(1);
    const keeping = keepRenewed({ since: performance.now(), ttlMs: 60_000 }, options);
    stop.abort();
    await keeping;
    expect(calls).toBe(1);
  });
});
