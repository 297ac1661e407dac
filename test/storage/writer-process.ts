/**
 * A process that writes to a log until it is killed: `writer-process.ts <directory>`. Says on
 * standard output `open`, then the index of each entry that is durable, a line each.
 */
import { writeSync } from "node:fs";
import { asTerm, type NodeId } from "../../src/raft/types.ts";
import { openNodeDisk } from "../../src/storage/node-disk.ts";
import { openStorage } from "../../src/storage/open.ts";
import { entry, meta, text, write } from "./fixtures.ts";

const [path = ""] = process.argv.slice(2);

function end(line: string): never {
  writeSync(2, `${line}\n`);
  process.exit(1);
}

const disk = await openNodeDisk({ path, fail: (_error, what) => end(what) }).catch((error: Error) =>
  end(error.message),
);
const { saved, wal, snapshots } = openStorage(disk, { segmentBytesMax: 64 * 1024 });
const term = saved.hardState.term + 1;
const hardState = { term: asTerm(term), vote: "n1" as NodeId };
let next = (saved.entries.at(-1) ?? saved.base).index + 1;
wal.write(write({ hardState }), () => writeSync(1, "open\n"));

/** Values of many sizes, some of them zeros. */
function append(): void {
  const index = next++;
  const size = (index * 37) % 3000;
  const data = index % 5 === 0 ? new Uint8Array(size) : new Uint8Array(size).fill(index);
  wal.write(write({ entries: [entry(index, term, data)] }), () => {
    writeSync(1, `${index}\n`);
    if (index % 100 === 0) snapshot(index);
    append();
  });
}

function snapshot(index: number): void {
  const chunks = [text(`state at ${index}`)].values();
  snapshots.save({ meta: meta(index, term), chunks }, () => wal.release(snapshots.releasable));
}

for (let writers = 0; writers < 4; writers++) append();
