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
