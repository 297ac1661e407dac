/** Configuration from every source, whatever it says: it is used, or refused in one clear line. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError, resolveConfig, settingsByFlag, variableOf } from "../../src/config.ts";

const flags = [...settingsByFlag.keys()];
const sound = [
  ["n1", "127.0.0.1:4001", "[::1]:5001", "0.0.0.0:1", "http://a.test:1", "500", "50", "10"],
  ["n1=http://127.0.0.1:5001", "n1=http://a.test:1,n2=http://b.test:2", "info", "json", "/tmp/x"],
].flat();
const strange = [
  ["", " ", "\0", "n1=", "=,=", "n1=http://a,n1=http://a", "http://u:p@a.test/", "http://a/b?c#d"],
  ["1e3", "-1", "0x10", "9".repeat(400), "[::", "::1:1", ":1", "a:65536", "__proto__", "\ud800"],
].flat();
const value = fc.oneof(fc.constantFrom(...sound), fc.constantFrom(...strange), fc.string());
const dictionary = (keys: readonly string[]) =>
  fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), value, { maxKeys: 4 });
const file = fc.oneof(
  fc.constant(null),
  fc
    .oneof(
      fc.json(),
      fc.string(),
      dictionary(flags).map((all) => JSON.stringify(all)),
    )
    .map((text) => {
      return { path: "q.json", text };
    }),
);

test("any configuration is used or refused", () => {
  let used = 0;
  let refused = 0;
  fc.assert(
    fc.property(dictionary(flags), dictionary(flags.map(variableOf)), file, (given, env, from) => {
      try {
        const config = resolveConfig({ flags: given, env, file: from });
        used += 1;
        expect(config.electionMs).toBeGreaterThanOrEqual(5 * config.heartbeatMs);
        expect(config.initialCluster?.get(config.name) ?? config.peerUrl).toBe(config.peerUrl);
        expect(config.name).toMatch(/^[\w.-]{1,64}$/);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        refused += 1;
        expect(error.message.length).toBeGreaterThan(10);
      }
    }),
    { numRuns: 3_000, seed: 1 },
  );
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(used).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(1_000);
});
