/** Whether an engine lives: by the pipe that it alone holds open, into which it prints. */
import { addressOf, alloc, linux } from "../../../src/linux/libc.ts";
import { settlesWithin } from "../../../src/pause.ts";

const BUFFER_BYTES = 4096;
const KEPT = 400;

export interface EngineLife {
  readonly ended: boolean;
  /** Settles when it ends. */
  readonly end: Promise<void>;
  /** Whether it has ended, or does in this time. */
  endsWithin(ms: number): Promise<boolean>;
  /** Of what it printed, the last two lines, printable. */
  readonly lastWords: string;
  /** Keeps nothing of what it prints from now on: that may be a prompt's. */
  forget(): void;
}

/** @param fd Of the pipe's reading end; absent: nobody tells when it ends. */
export function watchEngine(fd: number | undefined): EngineLife {
  let text = "";
  let ended = false;
  let keeps = true;
  const read = async () => {
    const system = linux();
    const buffer = alloc(BUFFER_BYTES);
    for (;;) {
      const got = await system.callAside("read", fd!, addressOf(buffer), buffer.length);
      if (got <= 0) break;
      if (!keeps) continue;
      text = (text + new TextDecoder().decode(buffer.subarray(0, got))).slice(-BUFFER_BYTES);
    }
    ended = true;
  };
  const end = fd === undefined ? new Promise<void>(() => {}) : read();
  return {
    end,
    get ended() {
      return ended;
    },
    forget() {
      keeps = false;
      text = "";
    },
    async endsWithin(ms) {
      if (fd === undefined || ended) return ended;
      await settlesWithin(end, ms);
      return ended;
    },
    get lastWords() {
      const lines = text.trimEnd().split("\n").slice(-2);
      return lines.join("; ").replace(/[^\x20-\x7e]/g, "?").slice(-KEPT);
    },
  };
}
