/** Steps of firm_test.ts: what a role lets its clients ask, and which models are approved. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../support/serve.ts";
import { CANARY, type FirmHost, today } from "./firm_host.ts";

/** A role's limit: 429 in each dialect, with its headers, and a model that is not its own. */
export async function limitsRoles(firm: FirmHost): Promise<void> {
  const { run, ask, token, asPrinted } = firm;
  await asPrinted("Roles and limits");
  firm.limitedOn = today();
  await run("secllama role set three --requests-day 3");
  await run("secllama role set nothing --models other*");
  const app = (await run("secllama token create app --role three")).trim();
  const none = (await run("secllama token create none --role nothing")).trim();
  const key = { "x-api-key": app };
  for (let left = 2; left >= 0; left--) {
    const answer = await ask(key);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("x-ratelimit-limit-requests"), "3");
    assert.equal(answer.headers.get("x-ratelimit-remaining-requests"), String(left));
    await answer.body?.cancel();
  }
  const dialects = [
    ["/v1/chat/completions", "requests", "x-ratelimit-reset-requests"],
    ["/v1/messages", "rate_limit_error", "anthropic-ratelimit-requests-reset"],
    ["/api/chat", undefined, "x-ratelimit-reset-requests"],
  ] as const;
  for (const [path, type, header] of dialects) {
    const over = await ask(key, path);
    assert.equal(over.status, 429, path);
    assert.ok(Number(over.headers.get("retry-after")) > 0);
    assert.ok(over.headers.get(header), `${path}: ${header}`);
    const body = await over.json();
    assert.equal(body.code, "rate-limited");
    assert.match(JSON.stringify(body), /limit of 3 requests a day is reached/);
    if (type !== undefined) assert.equal(body.error.type, type);
  }
  // Nobody else's.
  assert.equal((await ask({ "x-api-key": token })).status, 200);
  const other = await ask({ "x-api-key": none });
  assert.equal(other.status, 403);
  assert.equal((await other.json()).code, "role-refused");
  // A role that is gone lets nobody in.
  const cutOff = await run("secllama role remove nothing");
  assert.match(cutOff, /is gone\nrefused from now on: none; [^\n]*clients set "none" --role/);
  assert.doesNotMatch(cutOff, /now on: app/);
  assert.equal((await ask({ "x-api-key": none })).status, 403);
  assert.match(await run("secllama clients list"), /app .*0 of 3 requests left this day/);
  // A wrong token is recorded, and neither it nor its sender's right one.
  assert.equal((await ask({ "x-api-key": "slt_nobody" })).status, 401);
}

/** A role's kinds of call, length of replies and hours, each dialect, at once. */
export async function narrowsRoles(firm: FirmHost): Promise<void> {
  const { run, proxyUrl } = firm;
  await run("secllama role set narrow --kinds chat --reply-tokens 3");
  const narrow = (await run("secllama token create narrow --role narrow")).trim();
  const key = { "x-api-key": narrow };
  const messages = [{ role: "user", content: CANARY }];
  const post = async (path: string, body: object) => {
    const answer = await fetch(proxyUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...key },
      body: JSON.stringify({ model: "demo", stream: false, ...body }),
    });
    return { status: answer.status, said: await answer.json() };
  };
  const chat = await post("/v1/chat/completions", { messages, max_tokens: 40 });
  assert.equal(chat.said.usage.completion_tokens, 3);
  assert.equal(chat.said.choices[0].finish_reason, "length");
  const ollama = await post("/api/chat", { messages });
  assert.deepEqual([ollama.said.eval_count, ollama.said.done_reason], [3, "length"]);
  const anthropic = await post("/v1/messages", { messages, max_tokens: 40 });
  assert.equal(anthropic.said.usage.output_tokens, 3);
  assert.equal(anthropic.said.stop_reason, "max_tokens");
  const responses = await post("/v1/responses", { input: CANARY });
  assert.equal(responses.said.usage.output_tokens, 3);
  assert.equal(responses.said.incomplete_details.reason, "max_output_tokens");
  for (
    const [path, body] of [
      ["/v1/embeddings", { input: CANARY }],
      ["/api/embed", { input: CANARY }],
      ["/api/generate", { prompt: CANARY }],
      ["/v1/completions", { prompt: CANARY }],
      ["/v1/rerank", { query: CANARY, documents: ["a"] }],
      ["/tokenize", { content: CANARY }],
    ] as const
  ) {
    const { status, said } = await post(path, body);
    assert.equal(status, 403, path);
    assert.match(JSON.stringify(said), /the role narrow does not let its clients ask for/);
  }
  assert.equal((await post("/v1/chat/completions/input_tokens", { messages })).status, 200);
  // A day that is neither today nor its neighbour.
  const day = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][(new Date().getUTCDay() + 3) % 7];
  await run(`secllama role set narrow --hours ${day}`);
  const late = await post("/v1/messages", { messages, max_tokens: 4 });
  assert.equal(late.status, 403);
  assert.match(late.said.error.message, new RegExp(`may not ask at this time.*${day} .UTC`));
  await run("secllama role set narrow --hours 00:00-24:00");
  assert.equal((await post("/v1/messages", { messages, max_tokens: 4 })).status, 200);
  assert.match(await run("secllama role list"), /office .*500 tokens a reply, mon-fri 08:00/);
}

/** Only approved models: by digest, by signature, and at once. */
export async function approvesModels(firm: FirmHost): Promise<void> {
  const { run, ask, token, home, policyFile } = firm;
  const [listed] = JSON.parse(await run("secllama list --json")).models;
  const approve = (allow: unknown) =>
    Deno.writeTextFile(policyFile, JSON.stringify({ version: 1, allow }));
  const demo = { names: ["demo"], digests: [listed.digest] };
  await approve([{ names: ["demo"], digests: [`sha256:${"0".repeat(64)}`] }]);
  const refused = await ask({ "x-api-key": token });
  assert.equal(refused.status, 403);
  const body = await refused.json();
  assert.equal(body.code, "model-not-approved");
  assert.match(body.error.message, /demo:latest is not approved/);
  await approve([demo]);
  assert.equal((await ask({ "x-api-key": token })).status, 200);
  // Another file is not imported, until somebody whom the policy names has signed it.
  const file = join(home, "other.gguf");
  await Deno.copyFile(join(ROOT, "models/demo.gguf"), file);
  await run(`secllama import ${file} --name other`, 9);
  assert.doesNotMatch(await run("secllama list"), /other/);
  const openssl = async (line: string) => {
    const { code } = await new Deno.Command("/usr/bin/openssl", {
      args: line.split(" "),
      cwd: home,
      stderr: "null",
    }).output();
    assert.equal(code, 0, line);
  };
  await openssl("ecparam -genkey -name prime256v1 -noout -out signer.pem");
  await openssl("ec -in signer.pem -pubout -out signer.pub");
  await run(`secllama model sign ${file} --key ${join(home, "signer.pem")}`);
  await run(`secllama model verify ${file} --signer ${join(home, "signer.pub")}`);
  await run(`secllama import ${file} --name other --signature ${file}.sig`, 9);
  await approve([demo, { names: ["other"], signers: [join(home, "signer.pub")] }]);
  await run(`secllama import ${file} --name other --signature ${file}.sig`);
  await run(`secllama model verify other --signer ${join(home, "signer.pub")}`);
  await run("secllama cp other unnamed", 9);
  const bytes = await Deno.readFile(file);
  bytes[bytes.length - 1]! ^= 1;
  await Deno.writeFile(file, bytes);
  await run(`secllama model verify ${file} --signer ${join(home, "signer.pub")}`, 9);
}
