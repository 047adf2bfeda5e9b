/**
 * A key file with nothing in it yet, whose passphrase costs the least that is not refused. Commands keep what it says, so each of
 * them costs a third of a second less; what a new file of theirs costs is in src/keys/stores/ and, in full runs, tests/keyring/cli_test.ts.
 */
import {
  deriveBoxKey,
  type KdfParameters,
  newKdf,
  sealBox,
} from "../../src/keys/stores/envelope.ts";
import { utf8 } from "../../src/bytes.ts";

/** Writes one, for this user alone. */
export async function makeCheapKeyFile(path: string, passphrase: string): Promise<void> {
  const kdf: KdfParameters = { ...newKdf(), m: 7_168, t: 5 };
  const box = await sealBox(new Map(), await deriveBoxKey(utf8(passphrase), kdf), kdf);
  await Deno.writeFile(path, box, { mode: 0o600 });
}
