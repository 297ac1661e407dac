/** What commands print, to people and to programs. */
import { expect, test } from "vitest";
import { oneLine, Output } from "../../src/cli/output.ts";

function printedBy(
  isTTY: boolean,
  use: (output: Output) => void,
  hasColors: () => boolean = () => false,
): string {
  let text = "";
  use(new Output({ isTTY, hasColors, write: (part) => (text += String(part)) }));
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

test("colours only where they are shown, and somebody wants them", () => {
  const paint = (output: Output) => output.say(output.paint("green", "put"), { event: "put" });
  expect(printedBy(true, paint, () => true)).toBe("\u001b[32mput\u001b[39m\n");
  expect(printedBy(true, paint)).toBe("put\n");
  expect(printedBy(false, paint, () => true)).toBe('{"event":"put"}\n');
});

test("no value moves the cursor or breaks the line", () => {
  expect(oneLine("a\tb\nc\u001b[2J\u009b1m€")).toBe("a\\tb\\nc\\u001b[2J\\u009b1m€");
});
