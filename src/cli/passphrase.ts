/** Where a passphrase comes from: a file descriptor, else the terminal. Never an argument or the environment. */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { readDescriptor } from "../keys/stores/headless.ts";
import type { CommandContext } from "./command.ts";

const PASSPHRASE_CAP_BYTES = 1_024;

/**
 * A passphrase from `fd` (up to its end or 1 KiB, one line end dropped), else from the terminal, twice with `confirm`;
 * undefined when there is neither. The caller zeroes it. After `wrong`, which is told, only who is at the terminal is asked again.
 * @throws {SecLlamaError} `usage` for a descriptor that cannot be read or holds more, `key-cancelled` if nothing is typed, or the
 * two differ.
 */
export async function askPassphrase(
  context: CommandContext,
  what: string,
  fd: number | undefined,
  confirm: boolean,
  wrong?: SecLlamaError,
): Promise<Bytes | undefined> {
  const { tui } = context;
  if (wrong !== undefined) {
    if (fd !== undefined || !tui.canAsk) return undefined;
    tui.error(wrong);
  }
  if (fd !== undefined) {
    const bytes = await readDescriptor(fd, PASSPHRASE_CAP_BYTES, "--passphrase-fd");
    if (bytes.length > PASSPHRASE_CAP_BYTES) {
      throw new SecLlamaError("usage", `the passphrase is over ${PASSPHRASE_CAP_BYTES} bytes`);
    }
    return bytes.at(-1) === 0x0a ? bytes.slice(0, -1) : bytes;
  }
  if (!tui.canAsk) return undefined;
  const first = await tui.askSecret(`Passphrase of the ${what}:`);
  const again = confirm && first ? await tui.askSecret("The same again:") : first;
  if (!first || again === undefined) throw cancelled("no passphrase was given");
  if (again !== first) throw cancelled("the two passphrases differ");
  return new TextEncoder().encode(first);
}

function cancelled(why: string): SecLlamaError {
  return new SecLlamaError("key-cancelled", why, {
    hint: "nothing was changed; to be asked again, run the command again",
  });
}
