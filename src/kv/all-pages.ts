/** Reading the whole map as it was at one revision, page by page. */
import { FIRST_KEY, type Key } from "./key.ts";
import { type NewestVersions, type Page, readPage, type Slices } from "./range.ts";

/** What is told at once: to take in some hundred KiB is about a millisecond of work. */
const PAGE = { entries: 256, bytes: 256 * 1024, isKeysOnly: false };

/** Calls `tell` with every key as it was at `revision`, in bytewise order. */
export function* tellAll(
  versions: NewestVersions,
  revision: number,
  tell: (page: Page) => void,
): Slices<void> {
  for (let start: Key | null = FIRST_KEY; start !== null; ) {
    const range = { start, end: null, isReverse: false, since: 0, grouping: null };
    const page: Page = yield* readPage(versions, { range, revision, limits: PAGE });
    tell(page);
    start = page.next;
    yield;
  }
}
