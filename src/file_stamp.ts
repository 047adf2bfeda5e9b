/**
 * Whether a file is as it was when it was read, by one look at it. A file system tells times in ticks of some milliseconds, and a new
 * file may get the number of one that was just removed: what was written within the tick in which it was read looks the same. So what
 * is that young is never taken for the same; git has the problem under the name "racily clean" (gitformat-index(5)).
 */

/** No system that we run on has longer ticks; FAT's two seconds are of disks that nobody keeps keys on. */
const TICK_MS = 100;

type Facts = Pick<Deno.FileInfo, "dev" | "ino" | "size" | "mtime" | "ctime">;

let young = 0;

/**
 * A text that is another one whenever the file was replaced or written to since. It may also be another one though nothing happened, as
 * long as the file is young.
 * @param now Unix ms.
 * @example
 * const stamp = await fileStamp(path);
 * if (stamp !== seen) read(); // the stamp is taken before the file is read
 */
export async function fileStamp(path: string, now?: () => number): Promise<string> {
  return stampOf(await Deno.stat(path), now);
}

/** The same for a young file as for the file when it is older: for who is to say of each file once what is wrong with it. */
export function ageless(stamp: string): string {
  return stamp.replace(/ young \d+$/, "");
}

/** {@link fileStamp} at once. */
export function fileStampSync(path: string, now?: () => number): string {
  return stampOf(Deno.statSync(path), now);
}

/**
 * Whether what was written at `ms` may be written again within the tick.
 * @param now Unix ms, as `ms`. @param atMost By so much it may have been later than `ms` says.
 */
export function isYoungAt(ms: number, now = Date.now(), atMost = 0): boolean {
  return now - ms < TICK_MS + atMost && ms - now < TICK_MS;
}

/** {@link fileStamp} of a file that was looked at. */
export function stampOf({ dev, ino, size, mtime, ctime }: Facts, now = Date.now): string {
  const [written, changed] = [mtime?.getTime() ?? 0, ctime?.getTime() ?? 0];
  const isYoung = isYoungAt(Math.max(written, changed), now());
  return [dev, ino, size, written, changed, ...(isYoung ? [`young ${++young}`] : [])].join(" ");
}
