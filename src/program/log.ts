/** The program's log: readable on a terminal, JSON in a pipe, and never waited for. */
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";
import { prettyFactory } from "pino-pretty";

export type Log = Logger;

export interface LogOptions {
  /** The node that speaks. */
  readonly name: string;
  readonly level: string;
  readonly isPretty: boolean;
  /** Whether to use colours, where it is pretty. */
  readonly isColourful: boolean;
  /** The open file, pipe or terminal to write to. */
  readonly fd: number;
}

/** What may wait to be written. When nobody reads, lines beyond it are dropped and counted. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Opens the log. Writing never blocks the event loop: one write is under way at a time, on a thread
 * of its own, and what comes meanwhile waits, within bounds (R14). Only the line of level `fatal`
 * is written before the call returns, together with all that waits.
 */
export function openLog(options: LogOptions): Log {
  const { name, level, isPretty, isColourful, fd } = options;
  const sink = destination({ dest: fd, sync: false, maxLength: WAITING_BYTES_MAX });
  const log = pino(
    {
      level,
      base: { node: name },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    isPretty ? readable(sink, isColourful) : sink,
  );
  let dropped = 0;
  sink.on("drop", () => {
    dropped += 1;
  });
  sink.on("drain", () => {
    if (dropped === 0) return;
    const count = dropped;
    dropped = 0;
    log.warn(`${count} lines were dropped: whoever reads this log was too slow`);
  });
  return log;
}

/** Formats line by line, with no stream between that could hold more than the sink allows. */
function readable(
  sink: DestinationStream & { flushSync(): void },
  colorize: boolean,
): DestinationStream {
  const format = prettyFactory({
    colorize,
    ignore: "pid,hostname,node",
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  return {
    write: (line: string) => sink.write(format(line)),
    flushSync: () => sink.flushSync(),
  } as DestinationStream;
}
