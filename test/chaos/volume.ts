/** A small disk of its own for one node, whose power can be cut and which can be full. */
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The node's log, its snapshots and a copy of each on the way, with room to spare. */
const SIZE = "192M";
/**
 * EXT4_IOC_SHUTDOWN without flushing the journal: what was not synced is gone (ext4.h). An fsync
 * that was under way may then return as if it had succeeded, which no power cut does. So processes
 * can be stopped right before, and must not run again: nobody learns of it.
 */
const CUT = `
import fcntl, os, signal, struct, sys, time
pids = [int(pid) for pid in sys.argv[1].split()]
files = [os.open(path, os.O_RDONLY) for path in sys.argv[2:]]
for pid in pids: os.kill(pid, signal.SIGSTOP)
end = time.monotonic() + 5
for pid in pids:
    while open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] not in "TZ":
        if time.monotonic() > end: sys.exit(f"{pid} does not stop")
for file in files: fcntl.ioctl(file, 0x8004587D, struct.pack("I", 2))
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
  #isMounted = false;

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

  /** Stops these processes, and cuts the power of all these volumes at the same moment. */
  static async cutPowerOf(volumes: readonly Volume[], pids: readonly number[]): Promise<void> {
    const mounts = volumes.map((volume) => volume.#mount);
    await run("python3", ["-I", "-S", "-c", CUT, pids.join(" "), ...mounts]);
  }

  /** From now on nothing reaches the disk. Processes with open files must end before it is back. */
  async cutPower(): Promise<void> {
    await Volume.cutPowerOf([this], []);
  }

  /** Mounts it as it is after a power cut: the journal is replayed. */
  async restorePower(): Promise<void> {
    await this.#unmount();
    await run("mount", ["-o", "loop", this.#image, this.#mount]);
    this.#isMounted = true;
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
    await this.#unmount();
    rmSync(this.#image);
  }

  async #unmount(): Promise<void> {
    if (!this.#isMounted) return;
    await run("umount", [this.#mount]);
    this.#isMounted = false;
  }

  get #ballast(): string {
    return join(this.#mount, "ballast");
  }
}
