/** Which revision was the newest at which cluster time: what it takes to forget by age. */

/** Samples are at least so far apart; history is forgotten by minutes. */
const SAMPLE_MS = 1_000;
const SAMPLES_MAX = 1_024;

/**
 * A bounded list of samples, the wider apart the longer they reach back. Known to this node only,
 * and lost at a restart.
 */
export class Timeline {
  private samples: { readonly time: number; readonly revision: number }[] = [];
  private spacing = SAMPLE_MS;

  /** At `time` the newest revision was `revision`. Neither goes back. */
  note(time: number, revision: number): void {
    const last = this.samples.at(-1);
    if (last !== undefined && time < last.time + this.spacing) return;
    this.samples.push({ time, revision });
    if (this.samples.length < SAMPLES_MAX) return;
    this.samples = this.samples.filter((_, at) => at % 2 === 0);
    this.spacing *= 2;
  }

  /** Nobody will ask any more for `revision` or an older one. */
  forget(revision: number): void {
    this.samples = this.samples.filter((sample) => sample.revision > revision);
  }

  /** The newest revision known to have been there before `time`, or null. */
  revisionBefore(time: number): number | null {
    return this.samples.findLast((sample) => sample.time < time)?.revision ?? null;
  }

  clear(): void {
    this.samples = [];
    this.spacing = SAMPLE_MS;
  }
}
