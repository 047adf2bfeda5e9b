/** `--ready-fd N`: one line of JSON on an open descriptor once everything serves, for whoever started it. */
import { SecLlamaError } from "../errors.ts";
import { isInherited } from "../linux/descriptors.ts";
import { linux } from "../linux/libc.ts";

export interface ReadyFacts {
  readonly gateway: string;
  readonly gatewayPort: number;
  readonly proxy: string | null;
  readonly proxyPort: number | null;
  readonly model: string | null;
  readonly isolation: string | null;
  readonly pid: number;
}

interface ReadyLine {
  /** Writes the line and closes the descriptor, so that the reader also sees the end. */
  send(facts: ReadyFacts): void;
}

const F_SETFD = 2;
const FD_CLOEXEC = 1;

/**
 * Takes the descriptor before anything is started: no child is to hold it open.
 * @throws {SecLlamaError} `usage` if it is not open.
 */
export function openReadyLine(fd: number): ReadyLine {
  const fail = (cause?: unknown) =>
    new SecLlamaError("usage", `--ready-fd: descriptor ${fd} cannot be written to`, {
      field: "--ready-fd",
      hint: `open it for writing, for instance: secllama serve --ready-fd ${fd} ${fd}>FILE`,
      cause,
    });
  if (fd <= 2) {
    throw new SecLlamaError("usage", "--ready-fd must be 3 or more", {
      field: "--ready-fd",
      hint:
        "the standard streams stay what they are; for instance: secllama serve --ready-fd 3 3>FILE",
    });
  }
  if (Deno.build.os !== "linux") {
    const file = attempt(() => Deno.openSync(`/dev/fd/${fd}`, { write: true }), fail);
    return {
      send(facts) {
        file.writeSync(encode(facts));
        file.close();
      },
    };
  }
  // By system call: with less than all permissions Deno opens /dev/fd/N where it is a pipe and refuses it where it is a file.
  if (!isInherited(linux(), fd)) throw fail();
  linux().must("--ready-fd", "fcntl", fd, F_SETFD, FD_CLOEXEC);
  const F_GETFL = 3;
  const ACCESS_MODE = 3;
  if ((linux().call("fcntl", fd, F_GETFL, 0) & ACCESS_MODE) === 0) throw fail(); // open for reading only
  return {
    send(facts) {
      const line = encode(facts);
      // Whoever asked and has gone away does not end the server.
      linux().call("write", fd, line, line.length);
      linux().call("close", fd);
    },
  };
}

function attempt<T>(action: () => T, fail: (cause: unknown) => SecLlamaError): T {
  try {
    return action();
  } catch (cause) {
    throw fail(cause);
  }
}

/** Shorter than a pipe's buffer, so that one write takes it whole. */
function encode(facts: ReadyFacts): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify({ schema: 1, ready: true, ...facts }) + "\n");
}
