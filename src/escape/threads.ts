/**
 * Threads as native code makes them, which do nothing but wait. Opened when the program starts: stage 2 lets nothing be loaded
 * afterwards.
 */
import { alloc } from "../linux/libc.ts";

/** The attacks are made on Linux only; their list is read everywhere. */
const PTHREAD = Deno.build.os !== "linux" ? undefined : Deno.dlopen("libc.so.6", {
  pthread_create: { parameters: ["buffer", "buffer", "pointer", "buffer"], result: "i32" },
  pthread_join: { parameters: ["u64", "pointer"], result: "i32" },
  pthread_attr_init: { parameters: ["buffer"], result: "i32" },
  pthread_attr_setstacksize: { parameters: ["buffer", "usize"], result: "i32" },
  sem_init: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  sem_post: { parameters: ["buffer"], result: "i32" },
  dlsym: { parameters: ["pointer", "buffer"], result: "pointer" },
});

/** Small: what limits memory is not to be met first. */
const STACK_BYTES = 64 * 1024;

/** Threads that wait until they are let go. */
export class WaitingThreads {
  readonly #symbols: NonNullable<typeof PTHREAD>["symbols"];
  readonly #wait: Deno.PointerValue;
  readonly #attributes = alloc(64); // pthread_attr_t: 56 bytes, 64 on aarch64
  readonly #gate = alloc(32); // sem_t
  readonly #threads: bigint[] = [];

  /** @throws {TypeError} Elsewhere than on Linux. */
  constructor() {
    if (PTHREAD === undefined) throw new TypeError("threads are made on Linux only");
    this.#symbols = PTHREAD.symbols;
    const name = alloc(9);
    name.set(new TextEncoder().encode("sem_wait"));
    this.#wait = this.#symbols.dlsym(null, name);
    this.#symbols.pthread_attr_init(this.#attributes);
    this.#symbols.pthread_attr_setstacksize(this.#attributes, BigInt(STACK_BYTES));
    this.#symbols.sem_init(this.#gate, 0, 0);
  }

  get count(): number {
    return this.#threads.length;
  }

  /** Makes `count` more, or as many as may be made. @returns The error that ended it, 0: none. */
  make(count: number): number {
    for (let made = 0; made < count; made++) {
      const thread = alloc(8); // pthread_t
      const error = this.#symbols.pthread_create(
        thread,
        this.#attributes,
        this.#wait,
        this.#gate,
      );
      if (error !== 0) return error;
      this.#threads.push(new DataView(thread.buffer).getBigUint64(0, true));
    }
    return 0;
  }

  /** Lets all go, and waits until they have gone. */
  end(): void {
    for (let n = this.count; n > 0; n--) this.#symbols.sem_post(this.#gate);
    for (const thread of this.#threads.splice(0)) this.#symbols.pthread_join(thread, null);
  }
}
