/** What an operator switches off, and what is no setting at all: every report says so, or serve does not start. */
import assert from "node:assert/strict";
import { bothWays, chat, cli, newHome, startServe } from "../support/serve.ts";

const QUESTION = "What is network isolation?";

bothWays(
  "serve: SECLLAMA_ENABLE_ENCRYPTION=false serves plaintext, and everything says so",
  async () => {
    const served = await startServe({ env: { SECLLAMA_ENABLE_ENCRYPTION: "false" } });
    try {
      assert.match(served.banner, /PLAINTEXT IS SERVED/);
      assert.match(served.stderr(), /warning: encryption is off/);
      const plain = await chat(served.gatewayUrl, QUESTION);
      assert.equal(plain.status, 200);
      assert.equal(plain.headers.get("secllama-encryption"), "off");
      assert.ok(plain.body.message!.content.length > 10);
      const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
      assert.equal(status.encryption.enabled, false);
      assert.equal(status.encryption.plaintext_requests, "served");
      // The proxy still seals.
      assert.equal((await chat(served.proxyUrl, QUESTION)).status, 200);
    } finally {
      await served.stop();
    }
  },
);

for (
  const [variable, level] of [
    ["SECLLAMA_ENABLE_SANDBOX", "off"],
    ["SECLLAMA_STRICT_NETWORK_ISOLATION", "weakened"],
  ] as const
) {
  bothWays(
    `serve: ${variable}=false is an operator's choice that every report repeats`,
    async () => {
      const served = await startServe({ env: { [variable]: "false" } });
      try {
        assert.match(served.banner, new RegExp(`isolation +${level}`));
        assert.match(served.stderr(), new RegExp(`warning: .*${variable}=false`));
        const response = await fetch(`${served.gatewayUrl}/api/security/status`);
        assert.equal(response.headers.get("secllama-isolation"), level);
        const status = await response.json();
        assert.equal(status.isolation.level, level);
        assert.equal(status.runners[0].level, level);
        const seccomp = status.runners[0].layers.find((l: { layer: string }) =>
          l.layer === "seccomp"
        );
        assert.equal(seccomp.state, level === "off" ? "not planned" : "enforced");
        assert.equal((await chat(served.proxyUrl, QUESTION)).status, 200);
      } finally {
        await served.stop();
      }
    },
  );
}

bothWays("serve: malformed settings are errors, not weaker settings", async () => {
  const { home, env } = await newHome();
  try {
    for (
      const more of [
        { SECLLAMA_ENABLE_ENCRYPTION: "maybe" },
        { SECLLAMA_ENABLE_SANDBOX: "0" },
        { SECLLAMA_STRICT_NETWORK_ISOLATION: "" },
        { SECLLAMA_ENABLE_ENCRYPTON: "true" },
      ]
    ) {
      const refused = await cli(["serve", "--ephemeral"], {
        env: { ...env, ...more } as Record<string, string>,
      });
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, new RegExp(`^error: .*${Object.keys(more)[0]}`));
      assert.match(refused.stderr, /\nhint: /);
    }
    for (
      const args of [["serve", "--insecure"], ["serve", "extra"], ["sevre"], ["key"], [
        "serve",
        "--port=x",
      ]]
    ) {
      const refused = await cli(args, { env });
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /^error: /);
      assert.match(refused.stderr, /\nhint: /);
    }
    const beyond = await cli(
      ["serve", "--ephemeral", "--host=0.0.0.0", "--port=0", "--proxy-port=0"],
      { env },
    );
    assert.equal(beyond.code, 9);
    assert.match(beyond.stderr, /not listening on 0\.0\.0\.0: .*memory only/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

/** Posts as another user of this machine; the answer's status and text. */
async function postAsAnother(url: string, path: string, body: string) {
  const { hostname, port } = new URL(url);
  const request = `POST ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nconnection: close\r\n` +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const script = `exec 3<>/dev/tcp/${hostname}/${port}; printf '%s' "$1" >&3; cat <&3`;
  const { stdout } = await new Deno.Command("/usr/bin/setpriv", {
    args: ["--reuid=65534", "--clear-groups", "/bin/bash", "-c", script, "bash", request],
  }).output();
  const text = new TextDecoder().decode(stdout);
  return { status: Number(text.split(" ")[1]), text };
}

const notTwo = Deno.build.os !== "linux" || Deno.uid() !== 0
  ? "only root can be another user"
  : undefined;
if (notTwo !== undefined) console.log(`SKIP plaintext of two users: ${notTwo}`);

Deno.test({
  name: "serve: in plaintext too, another user of the machine is another client",
  ignore: notTwo !== undefined,
  async fn() {
    const served = await startServe({
      env: { SECLLAMA_ENABLE_ENCRYPTION: "false" },
      args: ["--no-proxy", "--ephemeral"],
    });
    try {
      const path = "/v1/responses";
      const ask = { model: "demo", input: "Hi", max_output_tokens: 16 };
      const post = (more: object) =>
        fetch(served.gatewayUrl + path, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ ...ask, ...more }),
        });
      const { id } = await (await post({})).json();
      // The control: whose it is may go on with it.
      const mine = await post({ previous_response_id: id });
      assert.equal(mine.status, 200, await mine.text());
      const others = await postAsAnother(served.gatewayUrl, path, JSON.stringify(ask));
      assert.equal(others.status, 200, others.text);
      const stolen = JSON.stringify({ ...ask, previous_response_id: id });
      const { status, text } = await postAsAnother(served.gatewayUrl, path, stolen);
      assert.equal(status, 400, text);
      assert.match(text, /previous_response_id/);
    } finally {
      await served.stop();
    }
  },
});
