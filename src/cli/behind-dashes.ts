/** The program to run, behind `--`: commander leaves the two dashes out. */

/** What stands before `--`, and what behind it. */
export interface Halves {
  readonly before: readonly string[];
  readonly behind: readonly string[];
}

/** Splits the arguments of a command; `line` is all that the program was given. */
export function splitAtDashes(args: readonly string[], line: readonly string[]): Halves {
  const at = line.indexOf("--");
  const count = at === -1 ? 0 : line.length - at - 1;
  const place = Math.max(0, args.length - count);
  return { before: args.slice(0, place), behind: args.slice(place) };
}
