/**
 * The system's units, whose gateway has no network: `serve` in a network namespace of its own, systemd's own programs carrying
 * connections into it, and one user's proxy outside. The namespaces and mounts are made by hand: no systemd runs here.
 */
import assert from "node:assert/strict";
import { compiledProgram } from "../support/binary.ts";
import { ROOT, runToEnd } from "./testing.ts";

const IGNORE = compiledProgram() === "" || Deno.uid() !== 0;
if (IGNORE) {
  console.log("skipped: the namespaces of a service unit need root, and the compiled program");
}

/** Users of the test: the gateway's, that of systemd-socket-proxyd, and a person's. As with DynamicUser=, none is nobody. */
const GATEWAY = 65001;
const LISTEN = 65002;
const PERSON = 65003;

const as = (uid: number | string) =>
  `setpriv --reuid ${uid} --regid ${uid} --clear-groups --bounding-set -all --no-new-privs`;

/** What the unit checks before it starts. */
async function guard(): Promise<string> {
  const unit = await Deno.readTextFile(`${ROOT}packaging/systemd/secllama.service`);
  return /^ExecStartPre=(\/bin\/sh -c '.*')$/m.exec(unit)![1]!;
}

/** Functions and the start; `network` is what PrivateNetwork= says. Runs in a "host" that has an address of its own. */
const begin = (program: string, check: string, network: "private" | "host") => `
set -eu
ip link set lo up
ip link add v0 type veth peer name v1
ip address add 192.0.2.1/24 dev v0
ip link set v0 up
ip link set v1 up
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp
mkdir /tmp/gateway /tmp/gateway/credentials /tmp/person
printf 'sl1:%s' "$(head -c 32 /dev/urandom | base64 -w0)" >/tmp/gateway/credentials/secllama-key
chown -R ${GATEWAY}:${GATEWAY} /tmp/gateway
chown ${PERSON}:${PERSON} /tmp/person
mount -o remount,bind,ro /
mkfifo -m 666 /tmp/ready /tmp/proxy /tmp/mapped
pids=
trap 'kill $pids || true; wait' EXIT
python3 -u -m http.server --bind 0.0.0.0 --directory /tmp/person 8099 >/dev/null 2>&1 &
pids="$pids $!"
until curl -s -o /dev/null http://192.0.2.1:8099/; do sleep 0.1; done

gateway="env -i PATH=/usr/bin:/bin HOME=/tmp/gateway CREDENTIALS_DIRECTORY=/tmp/gateway/credentials"
net="${network === "private" ? "unshare --net" : "env"}"
$net sh -c 'ip link set lo up; exec sleep 86400' &
holder=$!
pids="$pids $holder"
until grep -q sleep /proc/$holder/comm; do sleep 0.1; done
inside="nsenter --net=/proc/$holder/ns/net ${as(GATEWAY)}"
$inside ${check} && echo "guard: starts" || echo "guard: refuses"
for address in 127.0.0.1 192.0.2.1; do
  $inside curl -s -o /dev/null --max-time 300 http://$address:8099/ &&
    echo "$address: reached" || echo "$address: not reached"
done
# PrivateUsers= maps root and the unit's own user, and nobody else.
serve() {
  $gateway nsenter --net=/proc/$holder/ns/net unshare --user sh -c 'read _ </tmp/mapped; exec "$@"' sh \\
    ${as(GATEWAY)} ${program} serve --no-proxy --verbose --ready-fd 9 "$@" 9<>/tmp/ready &
  serve=$!
  pids="$pids $serve"
  while [ "$(readlink /proc/$serve/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.1; done
  for map in uid_map gid_map; do
    printf '0 0 1\\n${GATEWAY} ${GATEWAY} 1\\n' >/proc/$serve/$map
  done
  echo >/tmp/mapped
  timeout 300 head -n 1 /tmp/ready >/tmp/started
  [ -s /tmp/started ]
}
# UID: whose systemd-socket-proxyd is
listen() {
  systemd-socket-activate -l 127.0.0.1:$2 nsenter --net=/proc/$holder/ns/net ${as("$1")} \\
    /usr/lib/systemd/systemd-socket-proxyd 127.0.0.1:11435 2>/dev/null &
  pids="$pids $!"
  until ss -Hltn "sport = :$2" | grep -q .; do sleep 0.1; done
}
`;

async function onHost(script: string): Promise<string> {
  const { code, stdout, stderr } = await runToEnd([
    "/usr/bin/timeout",
    "--signal=KILL",
    "1200",
    "/usr/bin/unshare",
    "--mount",
    "--net",
    "--pid",
    "--fork",
    "--mount-proc",
    "--kill-child",
    "--propagation",
    "private",
    "/bin/sh",
    "-c",
    script,
  ], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, cwd: "/" });
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  return stdout;
}

async function program(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "secllama-network-" });
  await Deno.chmod(folder, 0o755);
  await Deno.copyFile(compiledProgram(), `${folder}/secllama`);
  return {
    path: `${folder}/secllama`,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

Deno.test({
  name:
    "units of the system: without PrivateNetwork= the gateway reaches the host, and the unit's check refuses",
  ignore: IGNORE,
  fn: async () => {
    const out = await onHost(begin("/bin/false", await guard(), "host"));
    assert.match(out, /^guard: refuses$/m);
    assert.match(out, /^127\.0\.0\.1: reached$/m);
    assert.match(out, /^192\.0\.2\.1: reached$/m);
  },
});

Deno.test({
  name:
    "units of the system: a paired user chats with a gateway that has no network, in a whole sandbox",
  ignore: IGNORE,
  fn: async () => {
    await using file = await program();
    const out = await onHost(`${begin(file.path, await guard(), "private")}
serve
listen ${LISTEN} 11435
$gateway ${as(GATEWAY)} ${file.path} pair person --no-qr --url http://127.0.0.1:11435 >/tmp/pairing
env -i PATH=/usr/bin:/bin HOME=/tmp/person ${as(PERSON)} \\
  ${file.path} proxy --ephemeral --pair - </tmp/pairing >/tmp/proxy &
pids="$pids $!"
timeout 300 grep -m 1 'proxy ready' </tmp/proxy
echo "chat: $(${as(PERSON)} curl -sS --max-time 300 http://127.0.0.1:11434/api/chat -d \\
  '{"model":"demo","stream":false,"messages":[{"role":"user","content":"What is network isolation?"}]}')"
`);
    assert.match(out, /^guard: starts$/m);
    assert.match(out, /^127\.0\.0\.1: not reached$/m);
    assert.match(out, /^192\.0\.2\.1: not reached$/m);
    const chat = JSON.parse(/^chat: (.*)$/m.exec(out)![1]!);
    assert.equal(chat.done, true, out);
    assert.match(chat.message.content, /network/i);
    assert.match(out, /isolation strict/);
    for (const layer of ["network namespace", "pid namespace", "private root", "seccomp"]) {
      assert.match(out, new RegExp(`enforced +${layer}`), out);
    }
  },
});

Deno.test({
  name:
    "units of the system: nobody manages models through systemd-socket-proxyd, unless it runs as the gateway's user",
  ignore: IGNORE,
  fn: async () => {
    await using file = await program();
    const copy = (port: number) =>
      `${as(PERSON)} curl -sS --max-time 300 -o /tmp/person/answer -w '%{http_code} ' \\
  http://127.0.0.1:${port}/api/copy -d '{"source":"nothing","destination":"something"}'
cat /tmp/person/answer; echo`;
    const out = await onHost(`${begin(file.path, await guard(), "private")}
serve --no-preload --allow-model-management
listen ${GATEWAY} 21435
listen ${LISTEN} 11435
${copy(21435)}
${copy(11435)}
`);
    assert.match(out, /^404 .*"model-not-found"/m, "as the gateway's user it would work");
    assert.match(out, /^403 .*"management-refused"/m);
    const listen = await Deno.readTextFile(`${ROOT}packaging/systemd/secllama-listen.service`);
    assert.match(listen, /^User=secllama-listen$/m);
  },
});

Deno.test({
  name:
    "proxy: as nobody in a user namespace, where other users look like nobody, it lets nobody in",
  ignore: IGNORE,
  fn: async () => {
    await using file = await program();
    const nobody = `${as(65534)} unshare --user --map-user=65534 --map-group=65534`;
    const out = await onHost(`set -eu
ip link set lo up
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp
mkdir -m 777 /tmp/nobody
mkfifo -m 666 /tmp/proxy
chown 65534:65534 /tmp/nobody
chmod 700 /tmp/nobody
seen() { ${nobody} stat -c 'owner of a file of another user: %u' /tmp/person; }
touch /tmp/person
chown ${PERSON} /tmp/person
seen
key="sl1:$(head -c 32 /dev/urandom | base64 -w0)"
env -i PATH=/usr/bin:/bin HOME=/tmp/nobody SECLLAMA_KEY="$key" ${nobody} ${file.path} proxy >/tmp/proxy &
trap 'kill $!; wait' EXIT
timeout 300 grep -m 1 'proxy ready' </tmp/proxy
${as(PERSON)} curl -sS --max-time 300 http://127.0.0.1:11434/api/version
`);
    assert.match(out, /another user: 65534$/m, "the namespace hides who it is");
    assert.match(out, /"code":"peer-refused"/, out);
  },
});
