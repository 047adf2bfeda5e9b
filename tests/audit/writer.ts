/** Shared by the tests of this folder that kill or starve a process which writes the audit log. */
import { join } from "node:path";
import { AuditDatabase, AuditNote, AuditSigner, verifyLog } from "../../src/audit/mod.ts";
import { openKeySource } from "../../src/keys/mod.ts";

const WRITER = new URL("../../src/audit/testing_writer.ts", import.meta.url).pathname;
const KEY = `sl1:${new Uint8Array(32).fill(5).toBase64()}`;

/** A process that writes so many lines. @param under Another program's words, which starts it. */
export function writer(
  folder: string,
  count: number,
  { under = [], stderr = "inherit" }: {
    readonly under?: readonly string[];
    readonly stderr?: "inherit" | "piped";
  } = {},
): Deno.Command {
  const deno = [Deno.execPath(), "run", "--quiet", "--no-check", "-A", WRITER];
  const [program, ...args] = [...under, ...deno, folder, KEY, String(count)];
  return new Deno.Command(program!, { args, stdin: "null", stdout: "piped", stderr });
}

/** The numbers of the lines that it was told are there. */
export function toldIn(said: readonly string[]): number[] {
  return said.filter((line) => /^\d+$/.test(line)).map(Number);
}

/** What its log is worth, to who has its key. */
export async function verdictOf(folder: string) {
  using keys = await openKeySource({
    dataDir: folder,
    env: { SECLLAMA_KEY: KEY },
    interactive: false,
  });
  using signer = await AuditSigner.of(keys);
  using db = AuditDatabase.open(folder);
  return verifyLog(db, {
    key: signer.signing.publicKey,
    signers: new Map([[signer.kid, signer]]),
    seen: new AuditNote(join(folder, "state"), keys.hid).read(),
  });
}
