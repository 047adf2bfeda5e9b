/** Debian's minbase as a folder, made once by debootstrap and kept between runs. */
import { join } from "node:path";

/** The folder. Nothing is written to it by those who use it. */
export const BASE_SYSTEM = new URL("../../build/base-system", import.meta.url).pathname;
const DEBOOTSTRAP = "/usr/sbin/debootstrap";

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/**
 * Makes the folder, if it is not there. debootstrap mounts /proc in it: in namespaces of its own, so that no mount is left on the
 * host, whenever it is ended.
 * @returns Why it cannot be had, or "".
 */
export async function makeBaseSystem(): Promise<string> {
  if (await exists(join(BASE_SYSTEM, ".complete"))) return "";
  if (Deno.uid() !== 0) return "debootstrap needs root";
  if (!await exists(DEBOOTSTRAP)) return "debootstrap is not installed";
  await Deno.remove(BASE_SYSTEM, { recursive: true }).catch(() => {});
  const suite = /^VERSION_CODENAME=(\w+)/m.exec(await Deno.readTextFile("/etc/os-release"))?.[1];
  const { success, stdout } = await new Deno.Command("/usr/bin/unshare", {
    args: [
      ...["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"],
      "--mount-proc",
      ...[DEBOOTSTRAP, "--variant=minbase", suite ?? "bookworm", BASE_SYSTEM],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  if (!success) {
    const said = new TextDecoder().decode(stdout).trim().split("\n").at(-1);
    return `debootstrap failed: ${said}`;
  }
  await Deno.writeTextFile(join(BASE_SYSTEM, ".complete"), "");
  return "";
}
