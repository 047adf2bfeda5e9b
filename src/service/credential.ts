/**
 * The gateway's key as a systemd credential: 32 random bytes that are encrypted for this machine (its TPM, or a secret of the host)
 * before they reach a disk. systemd hands it to the service alone, in memory.
 */
import { join } from "node:path";
import { SecLlamaError } from "../errors.ts";
import type { RunProgram } from "../keys/stores/program.ts";
import { encodeKey } from "../keys/keyset/kid.ts";
import { wipe } from "../secret.ts";
import { isThere } from "./there.ts";

/** Where the units look for it (`LoadCredentialEncrypted=`). */
const CREDENTIAL_FOLDER = "/etc/secllama";
export const CREDENTIAL_FILE = join(CREDENTIAL_FOLDER, "secllama-key.cred");

/** The data folder of the system's service, as root sees it: `StateDirectory=` of a unit with `DynamicUser=`. */
export const SERVICE_DATA = "/var/lib/private/secllama";

const PROGRAMS = ["/usr/bin/systemd-creds", "/bin/systemd-creds"];

/**
 * Makes the credential, unless there is one.
 * @returns Whether it was made now.
 * @throws {SecLlamaError} `not-supported` without systemd-creds, `key-refused` if a keyset of another key lies there already, `key-io`.
 */
export async function ensureCredential(run: RunProgram): Promise<boolean> {
  if (isThere(CREDENTIAL_FILE)) return false;
  for (const name of ["clients.json", "keyset.json"]) {
    const path = join(SERVICE_DATA, name);
    if (!isThere(path)) continue;
    throw new SecLlamaError("key-refused", `${path} is under a key that is not here`, {
      hint:
        `put ${CREDENTIAL_FILE} back from your backup; or, to begin anew and pair every client again, remove ${path}`,
    });
  }
  const program = PROGRAMS.find(isThere);
  if (program === undefined) {
    throw new SecLlamaError(
      "not-supported",
      "this system has no systemd-creds, which keeps the key encrypted",
      {
        hint:
          "it comes with systemd 250 and later; without it run serve by hand with --key-file: secllama help keys",
      },
    );
  }
  await Deno.mkdir(CREDENTIAL_FOLDER, { recursive: true, mode: 0o700 });
  const key = crypto.getRandomValues(new Uint8Array(32));
  const line = encodeKey(key);
  const fresh = `${CREDENTIAL_FILE}.new`;
  try {
    const { code, stderr } = await run(
      program,
      ["encrypt", "--name=secllama-key", "-", fresh],
      { stdin: line, env: { PATH: "/usr/bin:/bin" }, timeoutMs: 120_000 },
    );
    if (code !== 0) {
      throw new SecLlamaError(
        "key-io",
        `systemd-creds could not encrypt the key (it ended with ${code})`,
        {
          hint: `to see why, run as root: systemd-creds setup. It said: ${lastLine(stderr)}`,
        },
      );
    }
    await Deno.chmod(fresh, 0o600);
    await Deno.rename(fresh, CREDENTIAL_FILE);
    return true;
  } finally {
    wipe(key);
    wipe(line);
    await Deno.remove(fresh).catch(() => {}); // it has its name by now, or never was
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
