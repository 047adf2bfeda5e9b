/** Where a passphrase comes from: a file descriptor, else the terminal. Never an argument or the environment. */
import type { Bytes } from "../bytes.ts";
import { SecLlamaError } from "../errors.ts";
import { readDescriptor } from "../keys/stores/headless.ts";
import type { CommandContext } from "./command.ts";

const PASSPHRASE_CAP_BYTES = 1_024;

/**
 * A passphrase from `fd` (up to its end or 1 KiB, one line end dropped), else from the terminal, twice with `confirm`;
 * undefined when there is neither. The caller zeroes it.
 * @throws {SecLlamaError} `usage` for a descriptor that cannot be read or holds more, `key-cancelled` if the two differ.
 */
export async function askPassphrase(
  context: CommandContext,
  what: string,
  fd: number | undefined,
  confirm: boolean,
): Promise<Bytes | undefined> {
  if (fd !== undefined) {
    const bytes = await readDescriptor(fd, PASSPHRASE_CAP_BYTES, "--passphrase-fd");
    if (bytes.length > PASSPHRASE_CAP_BYTES) {
      throw new SecLlamaError("usage", `the passphrase is over ${PASSPHRASE_CAP_BYTES} bytes`);
    }
    return bytes.at(-1) === 0x0a ? bytes.slice(0, -1) : bytes;
  }
  const first = await context.tui.askSecret(`Passphrase of the ${what}:`);
  if (first === undefined) return undefined;
  if (confirm && await context.tui.askSecret("The same again:") !== first) {
    throw new SecLlamaError("key-cancelled", "the two passphrases differ");
  }
  return new TextEncoder().encode(first);
}
