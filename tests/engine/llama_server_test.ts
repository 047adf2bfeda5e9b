/**
 * The real llama-server behind the door, of the pinned source: clients' dialects, grammars, tools, logprobs. It is built in full runs
 * (about ten minutes of processor time, once), and tested in plain ones where it is there.
 */
import assert from "node:assert/strict";
import { defaultEngineFolder } from "../../scripts/engine/build.ts";
import { chat, ROOT, startServe } from "../support/serve.ts";

const PROGRAM = `${ROOT}${defaultEngineFolder()}/llama-server`;

async function skipReason(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "engines run in the sandbox of Linux";
  if (await Deno.stat(PROGRAM).then(() => true, () => false)) return undefined;
  if (Deno.env.get("SECLLAMA_FULL") !== "1") {
    return "it is not built; a full run does it, or: deno run -A --frozen scripts/engine/build.ts";
  }
  const args = ["run", "-A", "--frozen", "--quiet", `${ROOT}scripts/engine/build.ts`];
  const { success } = await new Deno.Command(Deno.execPath(), { args, stdout: "null" }).output();
  return success ? undefined : "it could not be built: see scripts/engine/build.ts";
}

const skipped = await skipReason();
if (skipped) console.error(`SKIP: the real llama-server: ${skipped}`);

const QUESTION = "What is network isolation?";

Deno.test({
  name: "llama-server behind the door answers as the own engine does, in each dialect",
  ignore: skipped !== undefined,
  async fn() {
    const env = { SECLLAMA_ENGINE: "llama-server", SECLLAMA_ENGINE_PATH: PROGRAM };
    const own = await startServe();
    const wanted = await chat(own.proxyUrl, QUESTION, { options: { temperature: 0 } });
    await own.stop();
    const served = await startServe({ env });
    const post = async (path: string, body: unknown) => {
      const response = await fetch(`${served.proxyUrl}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: await response.json() };
    };
    try {
      assert.match(
        served.banner,
        /isolation +engine: \d+ layers enforced, \d+ on the runner's word \([^)]+\), its own attack held/,
      );
      const got = await chat(served.proxyUrl, QUESTION, { options: { temperature: 0 } });
      assert.equal(got.status, 200, JSON.stringify(got.body));
      assert.equal(got.headers.get("secllama-isolation"), "engine");
      assert.equal(got.body.message?.content, wanted.body.message?.content);
      for (const count of ["prompt_eval_count", "eval_count", "done_reason"]) {
        assert.equal(got.body[count], wanted.body[count], count);
      }
      const messages = [{ role: "user", content: QUESTION }];
      const openai = await post("/v1/chat/completions", {
        model: "demo",
        messages,
        temperature: 0,
        logprobs: true,
        top_logprobs: 2,
      });
      assert.equal(openai.status, 200, JSON.stringify(openai.body));
      const [choice] = openai.body.choices;
      assert.equal(choice.message.content, wanted.body.message?.content);
      for (const { logprob, top_logprobs: top } of choice.logprobs.content) {
        assert.equal(top.length, 2);
        // Greedy: the one that was taken is the most probable.
        assert.ok(Math.abs(top[0].logprob - logprob) < 1e-4 && logprob <= 0);
      }
      const anthropic = await post("/v1/messages", { model: "demo", messages, max_tokens: 4 });
      assert.equal(anthropic.body.stop_reason, "max_tokens");
      assert.equal(anthropic.body.usage.output_tokens, 4);
      // A grammar, made here of a schema, holds there.
      const schema = {
        type: "object",
        properties: { answer: { enum: ["yes", "no"] } },
        required: ["answer"],
        additionalProperties: false,
      };
      const formed = await post("/api/chat", {
        model: "demo",
        messages,
        stream: false,
        format: schema,
      });
      assert.ok(["yes", "no"].includes(JSON.parse(formed.body.message.content).answer));
      const called = await post("/v1/chat/completions", {
        model: "demo",
        messages,
        tool_choice: "required",
        tools: [{ type: "function", function: { name: "reply", parameters: schema } }],
      });
      assert.equal(called.status, 200, JSON.stringify(called.body));
      const [call] = called.body.choices[0].message.tool_calls;
      assert.equal(call.function.name, "reply");
      assert.ok(["yes", "no"].includes(JSON.parse(call.function.arguments).answer));
      // What does not work through it is said so.
      const embedding = await post("/api/embed", { model: "demo", input: "a" });
      assert.ok(embedding.status >= 400 && embedding.status < 500, String(embedding.status));
    } finally {
      await served.stop();
    }
  },
});
