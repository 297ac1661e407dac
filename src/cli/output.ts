/** What a command prints: words for a person at a terminal, JSON for a program behind a pipe. */
import { styleText } from "node:util";

/** A stream such as standard output. */
export interface Sink {
  readonly isTTY?: boolean;
  write(data: string | Uint8Array): unknown;
  /** Whether it shows colours, and whoever sits there wants them. */
  hasColors?(): boolean;
}

/** A row of a table, by the names of its columns. Null: there is nothing to say. */
export type Row = Readonly<Record<string, string | number | null>>;

/** One thing of many: as a row for a person, and as it is for a program. */
export interface Line {
  readonly row: Row;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The colours of this program, by their names in `node:util`. */
export type Colour = "bold" | "green" | "red" | "yellow";

export class Output {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  get isTerminal(): boolean {
    return this.#sink.isTTY === true;
  }

  /** Prints one line: `text`, or what it stands for. */
  say(text: string, data: Readonly<Record<string, unknown>>): void {
    this.#sink.write(`${this.isTerminal ? text : JSON.stringify(data)}\n`);
  }

  /** Prints a table to a person, and one line of JSON for each row to a program. */
  table(rows: readonly Row[]): void {
    this.lines(rows.map((row) => ({ row, data: row })));
  }

  /** The same, where a program is told more than a person. */
  lines(lines: readonly Line[]): void {
    if (!this.isTerminal) {
      for (const { data } of lines) this.#sink.write(`${JSON.stringify(data)}\n`);
    } else if (lines.length > 0) {
      this.#columns(lines.map(({ row }) => row));
    }
  }

  /** Prints bytes as they are, to whomever. */
  raw(bytes: Uint8Array): void {
    this.#sink.write(bytes);
  }

  /** A text in a colour, where colours are shown. */
  paint(colour: Colour, text: string): string {
    const isColourful = this.isTerminal && this.#sink.hasColors?.() === true;
    return isColourful ? styleText(colour, text, { validateStream: false }) : text;
  }

  #columns(rows: readonly Row[]): void {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const cells = [
      names.map((name) => name.toUpperCase()),
      ...rows.map((row) => names.map((name) => oneLine(String(row[name] ?? "-")))),
    ];
    const widths = names.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)));
    for (const [at, line] of cells.entries()) {
      const text = line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
      this.#sink.write(`${at === 0 ? this.paint("bold", text.trimEnd()) : text.trimEnd()}\n`);
    }
  }
}

/** A text without control characters, which would move the cursor or break the line. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => {
    const escaped = JSON.stringify(control).slice(1, -1);
    if (escaped !== control) return escaped;
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
