/** A small disk of its own for one node, whose power can be cut and which can be full. */
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The node's log, its snapshots and a copy of each on the way, with room to spare. */
const SIZE = "192M";
/** EXT4_IOC_SHUTDOWN without flushing the journal: what was not synced is gone (ext4.h). */
const CUT = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
`;

/**
 * Null: this machine can have such disks. Otherwise, why not: it takes root, loop devices and the
 * tools for ext4.
 */
export async function volumesMissing(scratch: string): Promise<string | null> {
  let volume: Volume | null = null;
  try {
    volume = await Volume.make(join(scratch, "probe"));
    await volume.cutPower();
    await volume.restorePower();
    return null;
  } catch (error) {
    return (error as Error).message.split("\n")[0] ?? "volumes do not work here";
  } finally {
    await volume?.remove();
  }
}

/** ext4 in a file, mounted through a loop device. */
export class Volume {
  /** For the node. Made anew with nothing in it. */
  readonly dataDir: string;
  readonly #image: string;
  readonly #mount: string;
  #isDead = false;

  private constructor(path: string) {
    this.#image = `${path}.ext4`;
    this.#mount = path;
    this.dataDir = join(path, "data");
  }

  /** Rejects where the machine has no such disks, or its user is not root. */
  static async make(path: string): Promise<Volume> {
    const volume = new Volume(path);
    mkdirSync(path, { recursive: true });
    await run("truncate", ["-s", SIZE, volume.#image]);
    await run("mkfs.ext4", ["-q", "-F", "-m", "0", volume.#image]);
    await volume.restorePower();
    return volume;
  }

  /** From now on nothing reaches the disk. Processes with open files must end before it is back. */
  async cutPower(): Promise<void> {
    await run("python3", ["-c", CUT, this.#mount]);
    this.#isDead = true;
  }

  /** Mounts it as it is after a power cut: the journal is replayed. */
  async restorePower(): Promise<void> {
    if (this.#isDead) await run("umount", [this.#mount]);
    this.#isDead = false;
    await run("mount", ["-o", "loop", this.#image, this.#mount]);
  }

  /** Takes all the space that is left. */
  async fill(): Promise<void> {
    const { bavail, bsize } = statfsSync(this.#mount);
    await run("fallocate", ["-l", String(bavail * bsize), this.#ballast]).catch(() => {
      // A little of it went to the file system itself meanwhile: write until it says no.
    });
    try {
      for (;;) writeFileSync(this.#ballast, Buffer.alloc(4096), { flag: "a" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }

  makeRoom(): void {
    rmSync(this.#ballast, { force: true });
  }

  async remove(): Promise<void> {
    await run("umount", [this.#mount]);
    rmSync(this.#image);
  }

  get #ballast(): string {
    return join(this.#mount, "ballast");
  }
}
