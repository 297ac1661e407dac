/** The planted bugs still fit the sources, and the record tells of each who found it. */
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { catalogue } from "./catalogue.ts";
import { filesOf, mutate, rowOf } from "./mutation.ts";
import { killersOf, mutantsTable, readRecord, TABLE_FILE } from "./record.ts";

const root = join(import.meta.dirname, "../..");
const ids = catalogue.map(({ id }) => id);

test("every bug has a name of its own, after a row of the list of faults", () => {
  expect(new Set(ids).size).toBe(ids.length);
  for (const mutation of catalogue) {
    expect(mutation.id).toMatch(/^[A-Z]\d{1,2}(-[a-z]+)+$/);
    expect(rowOf(mutation)).toMatch(/^[A-Z]\d+$/);
  }
});

describe("fits the sources, which then still parse", () => {
  test.each(catalogue.map((mutation) => [mutation.id, mutation] as const))(
    "%s",
    (_id, mutation) => {
      for (const file of filesOf(mutation)) {
        const sound = readFileSync(join(root, file), "utf8");
        const mutant = mutate(mutation, file, sound);
        expect(mutant).not.toBe(sound);
        expect(stripTypeScriptTypes(mutant)).not.toBe("");
      }
    },
  );
});

// One that was added since the last record is not there: `make mutants` fails until it is.
test("every bug on record was found, and is still in the catalogue", () => {
  const known = readRecord(root);
  const recorded = Object.keys(known);
  expect(recorded.filter((id) => killersOf(id, known).length === 0)).toEqual([]);
  expect(recorded.filter((id) => !ids.includes(id))).toEqual([]);
  expect(recorded.length).toBeGreaterThan(100);
});

test("the table shows the record", () => {
  expect(readFileSync(join(root, TABLE_FILE), "utf8")).toBe(
    mutantsTable(catalogue, readRecord(root)),
  );
});
