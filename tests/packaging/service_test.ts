/**
 * `serve` under the unit's mounts, user namespace and capabilities, made by hand, with and without what ProtectKernelTunables= does;
 * and why the service units leave some hardening out. No systemd runs here.
 */
import assert from "node:assert/strict";
import { compiledProgram } from "../support/binary.ts";
import { ROOT, runToEnd } from "./testing.ts";

const IGNORE = compiledProgram() === "" || Deno.uid() !== 0;
if (IGNORE) {
  console.log("skipped: the mounts of a service unit need root, and the compiled program");
}

/**
 * Prints the banner's lines. The user has no other uid's map, as under a user's systemd: root looks like nobody, and so the
 * uid must not be nobody's. The program lies outside /tmp, which the unit replaces.
 */
const script = (folder: string, tunables: boolean) => `
set -e
${tunables ? "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys" : ""}
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp
mkdir /tmp/home
chown 65001:65001 /tmp/home
mount -o remount,bind,ro /
mkfifo -m 666 /tmp/home/ready
env -i PATH=/usr/bin:/bin HOME=/tmp/home setpriv --reuid 65001 --regid 65001 --clear-groups \\
  --bounding-set -all --no-new-privs unshare --user --map-user=65001 --map-group=65001 \\
  ${folder}/secllama serve --ephemeral --verbose --port 0 --proxy-port 0 --ready-fd 9 \\
  9>/tmp/home/ready &
head -n 1 /tmp/home/ready >&2 # the banner is printed before it
kill $!
wait $! || true
`;

async function banner(folder: string, tunables: boolean): Promise<string> {
  const { stdout, stderr } = await runToEnd([
    "/usr/bin/unshare",
    "--mount",
    "--propagation",
    "private",
    "/bin/sh",
    "-c",
    script(folder, tunables),
  ], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, cwd: "/" });
  assert.match(stdout, /SecLlama is ready/, stderr);
  return stdout;
}

async function programFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "secllama-service-" });
  await Deno.chmod(path, 0o755);
  await Deno.copyFile(compiledProgram(), `${path}/secllama`);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test({
  name: "service unit: the sandbox is whole under it, and would be with ProtectKernelTunables=",
  ignore: IGNORE,
  fn: async () => {
    await using folder = await programFolder();
    for (const tunables of [false, true]) {
      const whole = await banner(folder.path, tunables);
      for (const layer of ["network namespace", "pid namespace", "private root", "seccomp"]) {
        assert.match(whole, new RegExp(`enforced +${layer}`), whole);
      }
    }
    for (const path of ["secllama.service", "user/secllama.service"]) {
      const unit = await Deno.readTextFile(`${ROOT}packaging/systemd/${path}`);
      assert.doesNotMatch(unit, /^ProtectProc=/m, path);
    }
  },
});

Deno.test({
  name: "service unit: a key encrypted by systemd-creds, as docs/keys.md has it, is the key",
  ignore: IGNORE,
  fn: async () => {
    await using folder = await programFolder();
    const { code, stdout, stderr } = await runToEnd(
      [
        "/usr/bin/unshare",
        "--mount",
        "--propagation",
        "private",
        "/bin/sh",
        "-euc",
        `mount -t tmpfs -o mode=755 tmpfs /var/lib/systemd # the host's key, of this test only
         mount -t tmpfs -o mode=700 tmpfs /root
         cd /root
         printf 'sl1:%s' "$(head -c 32 /dev/urandom | base64 -w0)" |
           systemd-creds encrypt --with-key=host --name=secllama-key - key.cred
         ! grep -q sl1: key.cred
         mkdir credentials
         ! systemd-creds decrypt --name=another key.cred - >/dev/null 2>&1
         systemd-creds decrypt --name=secllama-key key.cred - >credentials/secllama-key
         HOME=/root CREDENTIALS_DIRECTORY=/root/credentials ${folder.path}/secllama key status`,
      ],
      { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, cwd: "/" },
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^key [0-9a-f]{16} from a systemd credential/m);
  },
});
