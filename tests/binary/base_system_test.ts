/** The one file on a machine that has nothing else: Debian's base system, by debootstrap, in namespaces of its own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { BASE_SYSTEM, makeBaseSystem } from "../support/base_system.ts";
import { compiledProgram } from "../support/binary.ts";
import { ROOT_ONLY } from "./testing.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/**
 * Enters the system in new mount, pid and other namespaces, with its own /proc, and homes and /opt in memory, so that the
 * copy on disk stays as it was. $0: the system, $1: the program, $2: the script, $3: the user.
 */
const ENTER = `
set -eu
mount --make-rprivate /
mount --bind "$0" "$0"
for dir in root home opt tmp run; do mount -t tmpfs -o mode=0755 none "$0/$dir"; done
chmod 1777 "$0/tmp"
cp "$1" "$0/opt/secllama"
cp "$2" "$0/opt/script"
install -d -m 0700 -o 1000 -g 1000 "$0/home/user"
mount -t proc none "$0/proc"
mount --rbind /sys "$0/sys"
mount --rbind /dev "$0/dev"
cd "$0"
pivot_root . mnt
umount -l /mnt
cd /
if [ "$3" = 0 ]; then exec env -i HOME=/root PATH=/usr/bin:/bin /bin/sh /opt/script; fi
exec env -i HOME=/home/user PATH=/usr/bin:/bin \
  setpriv --reuid "$3" --regid "$3" --clear-groups /bin/sh /opt/script
`;

const missing = ROOT_ONLY ? "" : await makeBaseSystem();
if (missing !== "") console.log(`skipped: ${missing}`);

// As root it is in a container too, tests/binary/container_test.ts.
const FULL = Deno.env.get("SECLLAMA_FULL") === "1";
if (!FULL) console.log("skipped: as root on the base system; set SECLLAMA_FULL=1");

for (const user of FULL ? [0, 1000] : [1000]) {
  Deno.test({
    name: `binary: on Debian's base system alone, as uid ${user}`,
    ignore: ROOT_ONLY || missing !== "",
    async fn() {
      const { stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
        args: [
          "--mount",
          "--pid",
          "--ipc",
          "--uts",
          "--fork",
          "--kill-child",
          "/bin/sh",
          "-c",
          ENTER,
          BASE_SYSTEM,
          compiledProgram(),
          join(ROOT, "tests/binary/base_system.sh"),
          String(user),
        ],
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        clearEnv: true,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert.deepEqual(
        text(stdout).trim().split("\n"),
        [
          `nothing but the base system, uid ${user}`,
          "made a key in a passphrase-wrapped file",
          "serves, isolation strict",
          "answers through the sealed path",
          "rotated the key",
          "answers after the rotation",
          "ended cleanly",
        ],
        text(stderr),
      );
    },
  });
}
