/** What a command prints: words for a person at a terminal, JSON for a program behind a pipe. */

/** A stream such as standard output. */
export interface Sink {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A row of a table, by the names of its columns. Null: there is nothing to say. */
export type Row = Readonly<Record<string, string | number | null>>;

export class Output {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Prints one line: `text`, or what it stands for. */
  say(text: string, data: Readonly<Record<string, unknown>>): void {
    this.#sink.write(`${this.#sink.isTTY === true ? text : JSON.stringify(data)}\n`);
  }

  /** Prints a table to a person, and one line of JSON for each row to a program. */
  table(rows: readonly Row[]): void {
    if (this.#sink.isTTY !== true) {
      for (const row of rows) this.#sink.write(`${JSON.stringify(row)}\n`);
      return;
    }
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const cells = [
      names.map((name) => name.toUpperCase()),
      ...rows.map((row) => names.map((name) => String(row[name] ?? "-"))),
    ];
    const widths = names.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)));
    for (const line of cells) {
      const text = line.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ");
      this.#sink.write(`${text.trimEnd()}\n`);
    }
  }
}
