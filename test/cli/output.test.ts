/** What commands print, to people and to programs. */
import { expect, test } from "vitest";
import { Output } from "../../src/cli/output.ts";

function printedBy(isTTY: boolean, use: (output: Output) => void): string {
  let text = "";
  use(new Output({ isTTY, write: (part) => (text += part) }));
  return text;
}

const rows = [
  { name: "n1", role: "leader", term: 12 },
  { name: "n2", role: null, term: null },
];

test("words on a terminal", () => {
  expect(printedBy(true, (output) => output.say("blue", { value: "blue" }))).toBe("blue\n");
  expect(printedBy(true, (output) => output.table(rows))).toBe(
    "NAME  ROLE    TERM\nn1    leader  12\nn2    -       -\n",
  );
});

test("JSON in a pipe", () => {
  expect(printedBy(false, (output) => output.say("blue", { value: "blue" }))).toBe(
    '{"value":"blue"}\n',
  );
  expect(printedBy(false, (output) => output.table(rows))).toBe(
    '{"name":"n1","role":"leader","term":12}\n{"name":"n2","role":null,"term":null}\n',
  );
});
