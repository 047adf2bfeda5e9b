/** docs/containers.md, run as printed, with podman under the name of docker. */
import assert from "node:assert/strict";
import { makeBaseSystem } from "../support/base_system.ts";
import { compiledProgram } from "../support/binary.ts";
import { podmanMissing, withDocker } from "../support/container.ts";
import { ROOT } from "./testing.ts";

const full = Deno.env.get("SECLLAMA_FULL") === "1";
const missing = !full
  ? "without SECLLAMA_FULL=1: an image is built"
  : compiledProgram() === "" || Deno.uid() !== 0
  ? "it needs root and the compiled program"
  : await makeBaseSystem() || await podmanMissing();
if (missing !== "") console.log(`skipped: docs/containers.md as printed: ${missing}`);

Deno.test({
  name: "docs: the commands of containers.md do what it says",
  ignore: missing !== "",
  async fn() {
    const page = await Deno.readTextFile(`${ROOT}docs/containers.md`);
    const blocks = new Map(
      [...page.matchAll(/<!-- tested: (\w+) -->\s*```sh\n([^]*?)```/g)]
        .map(([, name, text]) => [name!, text!]),
    );
    assert.deepEqual([...blocks.keys()], ["build", "try", "stop", "keep", "sidecar"]);
    const block = (name: string) => `echo "== ${name}"\n${blocks.get(name)}\n`;
    const { code, stdout, stderr } = await withDocker(
      `
mkdir "$0/own"
cp "${compiledProgram()}" "$0/own/secllama"
PATH="$0/own:$PATH"
cp -r "${ROOT}packaging" .
${block("build")}${block("try")}${block("stop")}${block("keep")}
docker exec secllama secllama key status --json
${block("sidecar")}
# The key and the models outlive the container.
docker exec secllama secllama list
docker stop --time 60 secllama
docker logs secllama 2>&1
docker rm secllama
`,
      {},
    );
    assert.equal(code, 0, stdout + stderr);
    const [, , tried, , kept, sidecar] = stdout.split(/^== .*\n/m);
    assert.match(tried!, /no socket/, stdout + stderr);
    assert.match(kept!, /"credential"/, kept);
    assert.match(sidecar!, /HTTP\/1\.1 200 /, sidecar);
    assert.match(sidecar!, /secllama-isolation: strict/i);
    assert.match(sidecar!, /isolation strict/);
  },
});

/** As Open WebUI asks: aiohttp's headers, and what it adds of its user. */
const ASK = `
use IO::Socket::INET;
my ($method, $path, $body) = @ARGV;
my $s = IO::Socket::INET->new("127.0.0.1:11434") or die "no connection\\n";
my $head = "$method $path HTTP/1.1\\r\\nHost: 127.0.0.1:11434\\r\\nAccept: */*\\r\\n"
  . "Accept-Encoding: gzip, deflate\\r\\nUser-Agent: Python/3.11 aiohttp/3.12.15\\r\\n"
  . "X-OpenWebUI-User-Name: anna\\r\\nConnection: close\\r\\n";
$head .= "Content-Type: application/json\\r\\nContent-Length: " . length($body) . "\\r\\n" if $body;
print $s "$head\\r\\n$body";
print while <$s>;
`;

Deno.test({
  name:
    "docs: the proxy of open-webui.compose.yaml, beside a program that runs as root, to a gateway elsewhere",
  ignore: missing !== "",
  async fn() {
    const compose = await Deno.readTextFile(`${ROOT}packaging/container/open-webui.compose.yaml`);
    const [, command] = /^ +command: \["(.*)"\]$/m.exec(compose)!;
    const [proxy, webui] = compose.split(/^ {2}open-webui:$/m);
    for (
      const line of [
        /^ +user: "0:0"$/m,
        /^ +HOME: \/tmp$/m,
        /^ +entrypoint: \["\/bin\/sh", "-c"\]$/m,
        /^ +secrets: \[pairing\]$/m,
        /^ +cap_drop: \[ALL\]$/m,
        /^ +security_opt: \["no-new-privileges:true"\]$/m,
        /^ +read_only: true\n +tmpfs: \/tmp$/m,
      ]
    ) assert.match(proxy!, line);
    assert.match(webui!, /network_mode: "service:proxy"/);
    assert.match(webui!, /OLLAMA_BASE_URL: http:\/\/127\.0\.0\.1:11434$/m);
    assert.doesNotMatch(webui!, /user:/, "its image runs as root, as the proxy does");
    const chat = JSON.stringify({
      model: "demo:latest",
      messages: [{ role: "user", content: "What is network isolation?" }],
      stream: true,
      options: {},
    });
    const { code, stdout, stderr } = await withDocker(
      `
mkdir "$0/own"
cp "${compiledProgram()}" "$0/own/secllama"
cp -r "${ROOT}packaging" .
cp "$0/own/secllama" packaging/container/
docker build --tag secllama packaging/container >/dev/null
(umask 077; printf 'sl1:%s\\n' "$(head -c 32 /dev/urandom | base64 -w0)" > secllama.key)
chown 10001:10001 secllama.key
gateway="--volume gateway:/var/lib/secllama --volume $PWD/secllama.key:/run/secrets/secllama-key:ro"
docker run --rm $gateway secllama pair open-webui --url https://127.0.0.1:11435 > pairing.txt
docker run --detach --name gateway $gateway secllama serve --no-proxy --host 0.0.0.0 >/dev/null
# The gateway's network stands for one in which it can be reached.
docker run --detach --name proxy --network container:gateway --user 0:0 --cap-drop ALL \\
  --security-opt no-new-privileges --read-only --tmpfs /tmp --env HOME=/tmp \\
  --volume "$PWD/pairing.txt:/run/secrets/pairing:ro" --entrypoint /bin/sh secllama -c '${command}' >/dev/null
until docker logs proxy 2>&1 | grep -q 'proxy ready'; do docker logs proxy; sleep 0.2; done
cat > ask.pl <<'END'
${ASK}
END
ask() {
  user=$1; shift
  docker run --rm --network container:gateway --user "$user" --volume "$PWD/ask.pl:/ask.pl:ro" \\
    debian:12-slim perl /ask.pl "$@"
}
until ask 0:0 GET /api/tags | grep -q demo; do sleep 0.2; done
echo "== models"; ask 0:0 GET /api/tags
echo; echo "== chat"; ask 0:0 POST /api/chat '${chat}'
echo; echo "== another user"; ask 10001:10001 GET /api/tags
docker rm --force proxy >/dev/null
docker rm --force gateway >/dev/null
`,
      {},
    );
    assert.equal(code, 0, stdout + stderr);
    const [, models, said, other] = stdout.split(/^== .*\n/m);
    assert.match(models!, /HTTP\/1\.1 200 [^]*"demo:latest"/, stdout + stderr);
    assert.match(said!, /HTTP\/1\.1 200 [^]*"done":true/);
    assert.match(said!, /secllama-encryption: sealed/i);
    assert.match(
      other!,
      /HTTP\/1\.1 403 [^]*peer-refused/,
      "the control: as whom it would not work",
    );
  },
});

Deno.test("compose.yaml has the options of the command that is tested", async () => {
  const page = await Deno.readTextFile(`${ROOT}docs/containers.md`);
  const compose = await Deno.readTextFile(`${ROOT}packaging/container/compose.yaml`);
  const pairs: [option: RegExp, line: RegExp][] = [
    [/--cap-drop ALL/, /cap_drop: \[ALL\]/],
    [/--security-opt no-new-privileges/, /security_opt: \["no-new-privileges:true"\]/],
    [/--read-only --tmpfs \/tmp/, /read_only: true\n +tmpfs: \/tmp/],
    [/--volume secllama:\/var\/lib\/secllama/, /- secllama:\/var\/lib\/secllama/],
    [/secllama\.key:\/run\/secrets\/secllama-key/, /secllama-key:\n +file: \.\/secllama\.key/],
    [/--network container:secllama/, /network_mode: "service:secllama"/],
    [/--user 10001:10001/, /user: "10001:10001"/],
  ];
  for (const [option, line] of pairs) {
    assert.match(page, option);
    assert.match(compose, line);
  }
});
