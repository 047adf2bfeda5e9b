/**
 * Which numbers a table's descriptors get: the kernel gives the lowest that is free (open(2)), and starter and launcher leave
 * nothing open that they do not know of, so every number is known beforehand. The interpreter stops if one is another.
 */
import type { Step } from "../../linux/syscall_table.ts";

const FIRST = 3;

export class Descriptors {
  readonly #open: Set<number>;

  /** `taken`: what is open already, beside 0, 1 and 2. */
  constructor(taken: readonly number[] = []) {
    this.#open = new Set(taken);
  }

  /** The number that the next open gives. */
  open(): number {
    let fd = FIRST;
    while (this.#open.has(fd)) fd++;
    this.#open.add(fd);
    return fd;
  }

  /** The step that closes one. */
  close(fd: number): Step {
    if (!this.#open.delete(fd)) throw new RangeError(`descriptor ${fd} is not open`);
    return { what: "close", call: "close", args: [fd] };
  }
}
