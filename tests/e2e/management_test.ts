/** Model management over the API, by the unmodified `ollama` client: off as it comes, on where the operator says so. */
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { makeGguf } from "../../src/models/testing.ts";
import { digestOf, pushModel, startDockerRegistry } from "../pull/docker_registry.ts";
import { registryIgnored } from "../pull/docker_registry.ts";
import { type Served, startServe } from "../support/serve.ts";

const DEMO = new URL("../../models/demo.gguf", import.meta.url);
const DIGEST = `sha256:${"a".repeat(64)}`;
const JSON_TYPE = { "content-type": "application/json" };

/** Every way to manage models: method, path, body. */
const REQUESTS: readonly (readonly [string, string, unknown?])[] = [
  ["POST", "/api/pull", { name: "x" }],
  ["POST", "/api/push", { name: "x" }],
  ["POST", "/api/create", { model: "x", from: "demo" }],
  ["POST", "/api/copy", { source: "demo", destination: "x" }],
  ["DELETE", "/api/delete", { name: "demo" }],
  ["HEAD", `/api/blobs/${DIGEST}`],
  ["POST", `/api/blobs/${DIGEST}`, "x"],
  ["POST", "/api/pull/", { name: "x" }],
];

async function ask(
  base: string,
  [method, path, body]: (typeof REQUESTS)[number],
): Promise<{ status: number; body: Record<string, string>; headers: Headers }> {
  const answer = await fetch(base + path, {
    method,
    ...(body === undefined ? {} : { headers: JSON_TYPE, body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  let json = {};
  try {
    json = JSON.parse(text.trim().split("\n").at(-1)!);
  } catch { /* an answer without a body */ }
  return { status: answer.status, body: json, headers: answer.headers };
}

Deno.test("management is off: 403 with a hint, at the proxy and at the gateway (CVE-2025-63389)", async () => {
  const served = await startServe({ args: ["--ephemeral", "--no-preload"] });
  try {
    for (const base of [served.proxyUrl, served.gatewayUrl]) {
      for (const request of REQUESTS) {
        const { status, body, headers } = await ask(base, request);
        assert.equal(status, 403, `${base} ${request.slice(0, 2)}`);
        assert.equal(headers.get("secllama-model-management"), null);
        if (request[0] !== "HEAD") assert.match(body["hint"]!, /--allow-model-management/);
      }
    }
    const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
    assert.equal(status.model_management, "off");
    assert.ok(!served.banner.includes("management"));
    assert.equal((await new Ollama({ host: served.proxyUrl }).list()).models.length, 1);
  } finally {
    await served.stop();
  }
});

async function refusal(work: Promise<unknown>): Promise<Error & { status_code?: number }> {
  return await work.then(() => assert.fail("it was not refused"), (error) => error);
}

Deno.test({
  name: "management is on: the unmodified ollama client pulls, creates, copies and deletes",
  ignore: registryIgnored(),
  fn: async (t) => {
    await using registry = await startDockerRegistry();
    const { host } = registry;
    const demo = await Deno.readFile(DEMO);
    await pushModel(host, "me/demo:v1", [["model", demo], ["system", "Be kind."]]);
    const served = await startServe({
      args: ["--ephemeral", "--no-preload", "--allow-model-management"],
      env: { SECLLAMA_REGISTRIES: host, SECLLAMA_MAX_MODEL_SIZE: "80M" },
    });
    const ollama = new Ollama({ host: served.proxyUrl });
    const names = async () => (await ollama.list()).models.map((m) => m.name).sort();
    try {
      await t.step("it is said in the banner, the log, the status and each answer", async () => {
        assert.match(served.stderr(), /^warning: model management is on /m);
        assert.match(served.stderr(), /"event":"model-management-on"/);
        const answer = await fetch(`${served.proxyUrl}/api/security/status`);
        assert.equal(answer.headers.get("secllama-model-management"), "on");
        assert.match((await answer.json()).model_management, /^on, for this user/);
      });

      const pulled = `${host}/me/demo:v1`;
      await t.step("pull, with progress and without", async () => {
        const lines = [];
        for await (const line of await ollama.pull({ model: pulled, stream: true })) {
          lines.push(line);
        }
        assert.equal(lines[0]!.status, "pulling manifest");
        assert.equal(lines.at(-1)!.status, "success");
        const whole = lines.find((line) =>
          line.digest === digestOf(demo) && line.completed === line.total
        );
        assert.equal(whole?.total, demo.length);
        assert.equal((await ollama.pull({ model: pulled })).status, "success");
        assert.deepEqual(await names(), [pulled, "demo:latest"].sort());
        const answer = await ollama.chat({
          model: pulled,
          messages: [{ role: "user", content: "What is network isolation?" }],
          options: { num_predict: 4 },
        });
        assert.equal(answer.eval_count, 4);
      });

      await t.step("pull: a registry that is not allowed, a name that is none", async () => {
        const error = await refusal(ollama.pull({ model: "other.example/me/x" }));
        assert.match(error.message, /^pulling from other\.example is not allowed$/);
        assert.equal(error.status_code, 403);
        const streamed = async () => {
          for await (const _ of await ollama.pull({ model: "other.example/me/x", stream: true }));
        };
        assert.match((await refusal(streamed())).message, /not allowed/);
        assert.equal((await refusal(ollama.pull({ model: "../x" }))).status_code, 400);
        assert.equal(
          (await refusal(ollama.pull({ model: `${host}/me/none:v1` }))).status_code,
          404,
        );
        const insecure = await refusal(ollama.pull({ model: pulled, insecure: true }));
        assert.equal(insecure.status_code, 400);
      });

      await t.step("create from a model, streamed and not", async () => {
        const made = await ollama.create({
          model: "mine",
          from: "demo",
          system: "Be brief.",
          parameters: { temperature: 0, num_predict: 3, stop: ["\n\n"] },
          messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }],
          license: "MIT",
        });
        assert.equal(made.status, "success");
        const shown = await ollama.show({ model: "mine" });
        assert.equal(shown.system, "Be brief.");
        assert.match(shown.parameters, /num_predict +3/);
        assert.equal(shown.license, "MIT");
        const answer = await ollama.generate({ model: "mine", prompt: "x" });
        assert.equal(answer.eval_count, 3);
        const lines = [];
        for await (
          const line of await ollama.create({
            model: "more",
            from: "mine",
            system: "A.",
            stream: true,
          })
        ) lines.push(line.status);
        assert.equal(lines.at(-1), "success");
      });

      await t.step("create from an upload, which is nothing before", async () => {
        const file = makeGguf({ dataBytes: 66 * 1024 * 1024 + 128, tensors: undefined as never });
        const small = makeGguf({ fill: 5 });
        assert.ok(file.length > 65 * 1024 * 1024);
        const digest = digestOf(small);
        const at = `${served.proxyUrl}/api/blobs/${digest}`;
        const head = async () => (await fetch(at, { method: "HEAD" })).status;
        assert.equal(await head(), 404);
        const post = async (path: string, body: Uint8Array<ArrayBuffer>) => {
          const answer = await fetch(path, { method: "POST", body });
          await answer.body?.cancel();
          return answer.status;
        };
        assert.equal(await post(at, makeGguf({ fill: 6 })), 400);
        assert.equal(await head(), 404);
        assert.equal(await post(at, small), 201);
        assert.equal(await post(at, small), 200);
        assert.equal(await head(), 200);
        // Beyond what other bodies may have, and beyond what the setting allows.
        const big = `${served.proxyUrl}/api/blobs/${digestOf(file)}`;
        assert.equal(await post(big, file), 201);
        const huge = new Uint8Array(90 * 1024 * 1024);
        assert.equal(await post(`${served.proxyUrl}/api/blobs/${digestOf(huge)}`, huge), 413);
        assert.equal(await post(`${served.proxyUrl}/api/show`, huge), 413);
        assert.ok(!(await names()).includes("sent:latest"));
        const files = { "sent.gguf": digest };
        assert.equal(
          (await ask(served.proxyUrl, ["POST", "/api/create", { model: "sent", files }])).status,
          200,
        );
        assert.ok((await names()).includes("sent:latest"));
        assert.equal(await head(), 200, "now a blob");
      });

      await t.step("copy and delete", async () => {
        await ollama.copy({ source: "mine", destination: "me/copy:v2" });
        assert.ok((await names()).includes("me/copy:v2"));
        await ollama.delete({ model: "mine" });
        assert.ok(!(await names()).includes("mine:latest"));
        assert.equal((await ollama.show({ model: "me/copy:v2" })).system, "Be brief.");
        assert.equal((await refusal(ollama.delete({ model: "mine" }))).status_code, 404);
        assert.equal((await refusal(ollama.delete({ model: "demo" }))).status_code, 400);
        const missing = await refusal(ollama.copy({ source: "none", destination: "x" }));
        assert.match(missing.message, /^model 'none' not found/);
      });

      await t.step("push is refused with a reason", async () => {
        const error = await refusal(ollama.push({ model: "more" }));
        assert.equal(error.status_code, 501);
        assert.match(error.message, /not pushed/);
      });

      await t.step(
        "digests are strict, and no file of the host is looked at (CVE-2024-37032, CVE-2024-39719, CVE-2024-39721, CVE-2024-39722)",
        () => hostileRequests(served),
      );

      await t.step("another user of this machine is refused, at both ports", async () => {
        if (Deno.uid() !== 0) {
          console.log("skipped: only root can be another user");
          return;
        }
        for (const base of [served.proxyUrl, served.gatewayUrl]) {
          const curl = async (...as: string[]) => {
            const args = [
              "-s",
              "-o",
              "/dev/null",
              "-w",
              "%{http_code}",
              "-X",
              "DELETE",
              "-d",
              '{"name":"none"}',
              `${base}/api/delete`,
            ];
            const [program, ...rest] = [...as, "/usr/bin/curl", ...args];
            const { stdout } = await new Deno.Command(program!, { args: rest }).output();
            return new TextDecoder().decode(stdout);
          };
          assert.equal(await curl(), "404", "this user's own request is taken");
          const other = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
          assert.equal(await curl(...other), "403", base);
        }
      });
    } finally {
      await served.stop();
    }
  },
});

async function hostileRequests(served: Served): Promise<void> {
  const base = served.proxyUrl;
  for (
    const digest of [
      "sha256:../../../../etc/passwd",
      "sha256-..%2f..%2f..%2fetc%2fpasswd",
      `sha256:${"A".repeat(64)}`,
      `sha256:${"a".repeat(63)}`,
      `md5:${"a".repeat(32)}`,
      "x",
    ]
  ) {
    for (const method of ["HEAD", "POST"]) {
      const { status } = await ask(base, [
        method,
        `/api/blobs/${digest}`,
        method === "POST" ? "x" : undefined,
      ]);
      assert.ok([400, 404].includes(status), `${method} ${digest}: ${status}`);
    }
    const made = await ask(base, ["POST", "/api/create", { model: "x", files: { a: digest } }]);
    assert.equal(made.status, 400, digest);
  }
  // The answer is the same for a file that is there and one that is not.
  for (const field of ["from", "modelfile", "path"]) {
    const answers = new Set<string>();
    for (
      const path of [
        "/etc/passwd",
        "/etc/none",
        "/dev/random",
        "/root/.ssh/id_rsa",
        "../../x",
        "./Modelfile",
      ]
    ) {
      const value = field === "modelfile" ? `FROM ${path}` : path;
      const { status, body } = await ask(base, ["POST", "/api/create", {
        model: "x",
        [field]: value,
      }]);
      answers.add(`${status} ${body["error"]}`);
    }
    assert.equal(answers.size, 1, [...answers].join("\n"));
    assert.match([...answers][0]!, /^400 /);
  }
  for (
    const [path, body, status] of [
      ["/api/create", { model: "x" }, 400],
      ["/api/create", { from: "demo" }, 400],
      ["/api/create", { model: "x", from: "none" }, 404],
      ["/api/create", { model: "x", from: "demo", parameters: { heat: 1 } }, 400],
      ["/api/create", { model: "x", from: "demo", parameters: { top_k: -5 } }, 400],
      ["/api/create", { model: "x", from: "demo", messages: [{ role: "tool", content: "" }] }, 400],
      ["/api/create", { model: "x", from: "demo", quantize: "q4_K_M" }, 400],
      ["/api/create", { model: "x", from: "demo", info: [] }, 400],
      ["/api/create", { model: "x", from: "demo", info: { context_length: "8192" } }, 400],
      ["/api/create", { model: "x", from: "demo", info: { model_family: 1 } }, 400],
      ["/api/create", { model: "x", from: "demo", info: { capabilities: "tools" } }, 400],
      ["/api/create", { model: "x", from: "demo", template: 7 }, 400],
      ["/api/create", { model: "x", from: "demo", system: "x".repeat(9e6) }, 413],
      ["/api/create", { model: "../x", from: "demo" }, 400],
      ["/api/create", { model: "x", from: "demo", stream: "no" }, 400],
      ["/api/copy", { source: "demo" }, 400],
      ["/api/copy", { source: "demo", destination: "a/b/c/d" }, 400],
      ["/api/pull", {}, 400],
      ["/api/pull", [], 400],
    ] as const
  ) {
    const answer = await ask(base, ["POST", path, body]);
    assert.equal(
      answer.status,
      status,
      `${path} ${JSON.stringify(body).slice(0, 80)} ${answer.body["error"]}`,
    );
  }
  const unknown = await ask(base, ["POST", "/api/create", { model: "x", files: { a: DIGEST } }]);
  assert.match(unknown.body["error"]!, /^no blob sha256:a{64} is here$/);
}
