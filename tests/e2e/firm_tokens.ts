/** Steps of firm_test.ts: tokens of programs, and the receipts that one gets. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../support/patience.ts";
import { chat, cli, ROOT } from "../support/serve.ts";
import { CANARY, type FirmHost } from "./firm_host.ts";

/** Who shows a token is answered, nobody else; this user's own commands need none. */
export async function answersTokens(firm: FirmHost): Promise<void> {
  const { ask, token, proxyUrl, env } = firm;
  const none = await ask({});
  assert.equal(none.status, 401);
  assert.equal((await none.json()).error.code, "invalid_api_key");
  assert.equal((await chat(proxyUrl, "hello")).status, 401);
  const places: [string, string][] = [["authorization", `Bearer ${token}`], [
    "x-api-key",
    token,
  ]];
  for (const [name, value] of places) {
    const answer = await ask({ [name]: value });
    assert.equal(answer.status, 200);
    assert.ok((await answer.json()).choices[0].message);
  }
  const { port } = new URL(proxyUrl);
  const ps = await cli(["ps", "--proxy-port", port], { env });
  assert.match(ps.stdout, /demo/, ps.stderr);
}

/** A receipt shows which request and reply it was, for who has the key alone. */
export async function givesReceipts(firm: FirmHost): Promise<void> {
  const { run, ask, token, proxyUrl, home } = firm;
  const body = JSON.stringify({
    model: "demo",
    messages: [{ role: "user", content: CANARY }],
    max_tokens: 4,
    stream: true,
  });
  const answer = await fetch(`${proxyUrl}/v1/chat/completions`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-api-key": token,
      "secllama-receipt": "request",
    },
    body,
  });
  assert.equal(answer.status, 200);
  const id = answer.headers.get("secllama-receipt")!;
  const at = (name: string) => join(home, name);
  await Deno.writeTextFile(at("request.json"), body);
  await Deno.writeFile(at("reply.json"), new Uint8Array(await answer.arrayBuffer()));
  await Deno.writeTextFile(
    at("secret.txt"),
    answer.headers.get("secllama-receipt-secret")!,
  );
  const { port } = new URL(proxyUrl);
  await run(`secllama receipt get ${id} ${at("receipt.cose")} --proxy-port ${port}`);
  await run("secllama audit key > audit.pem");
  const files = `--request ${at("request.json")} --reply ${at("reply.json")}`;
  const verify = `secllama receipt verify ${at("receipt.cose")} --key ${at("audit.pem")} ` +
    `--secret ${at("secret.txt")} ${files}`;
  const said = await run(verify);
  assert.match(said, /the request is this one[^]*the reply is this one/);
  assert.match(said, /client=client\n[^]*model=demo:latest[^]*isolation=strict/);
  const python = new Deno.Command("/usr/bin/python3", {
    args: [
      join(ROOT, "scripts/receipt.py"),
      ...["audit.pem", "secret.txt", "request.json", "reply.json", "receipt.cose"].map(at),
    ],
  });
  assert.match(new TextDecoder().decode((await python.output()).stdout), /^holds /);
  await Deno.writeTextFile(at("reply.json"), "data: something else\n\n");
  assert.match(await run(verify, 9), /DOES NOT HOLD: the reply was another one/);
  await run(`secllama receipt get ${"0".repeat(32)} ${at("none")} --proxy-port ${port}`, 1);
  await Deno.remove(at("request.json"));
  // Who asks for none gets none.
  assert.equal((await ask({ "x-api-key": token })).headers.get("secllama-receipt"), null);
}

/** A token that is taken back ends the answer under way; what was made of it is in the record. */
export async function endsAnswersOfRevoked(firm: FirmHost): Promise<void> {
  const { run, proxyUrl } = firm;
  const leaver = (await run("secllama token create leaver")).trim();
  const answer = await fetch(`${proxyUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": leaver },
    body: JSON.stringify({
      model: "demo",
      stream: true,
      messages: [{ role: "user", content: CANARY }],
      // So long that it does not end by itself while it is waited for.
      response_format: {
        type: "json_schema",
        json_schema: {
          name: "long",
          schema: { type: "array", minItems: 3_000, items: { const: 1 } },
        },
      },
    }),
  });
  assert.equal(answer.status, 200);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  const first = await reader.read();
  assert.match(first.value!, /^data: /);
  await run("secllama token revoke leaver");
  let said = "";
  const end = await (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "whole";
      said = (said + value).slice(-200);
    }
  })().catch(() => "broken off");
  assert.ok(end === "broken off" || !said.includes("[DONE]"), `${end}: ${said}`);
  let line = "";
  await until(async () => {
    line = await run("secllama audit list --event exchange --last 1");
    return line.includes("client=leaver");
  }, "the leaver's exchange is in the record");
  assert.match(line, /tokens_out=[1-9]\d* .*result=token-refused/);
}

/** A token that is revoked lets nobody in, at once. */
export async function refusesRevoked(firm: FirmHost): Promise<void> {
  const { run, ask, token } = firm;
  await run("secllama token revoke client");
  const answer = await ask({ "x-api-key": token });
  assert.equal(answer.status, 401);
  await answer.body?.cancel();
}
