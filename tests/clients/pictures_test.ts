/**
 * A model that sees, imported in its two files, asked about pictures by unmodified clients from npm over the whole sealed path,
 * its runner in the strict sandbox.
 */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { canSee } from "../../runner/engine/testing.ts";
import {
  type Colour,
  COLOURS,
  makeSeeingModel,
  plain,
} from "../../runner/engine/testing_seeing.ts";
import { makeHearingModel, type Tone, tone } from "../../runner/engine/testing_hearing.ts";
import { bothWays, cli, startServe } from "../support/serve.ts";

const NAMES = Object.keys(COLOURS) as Colour[];
const ASK = "What colour is this?";
const base64 = (colour: Colour, size = 40) => plain(colour, size).toBase64();

/** A head of 8 by 8 pixels, and nothing that can be unpacked behind it. */
function brokenPng(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(100).fill(0x41);
  bytes.set([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
  bytes.set([0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0], 16);
  return bytes;
}

bothWays("pictures through ollama, openai and anthropic clients", pictures, undefined, !canSee());

async function pictures(t: Deno.TestContext): Promise<void> {
  const served = await startServe();
  const { env } = served;
  try {
    const [model, projector] = ["model", "mmproj"].map((name) => `${served.home}/${name}.gguf`);
    makeSeeingModel(model!, projector!);
    await t.step("import takes both files; a file that is no projector is refused", async () => {
      const wrong = await cli(["import", model!, "--projector", model!, "--name=wrong"], { env });
      assert.equal(wrong.code, 2, wrong.stderr);
      assert.match(wrong.stderr, /two models were given[^]*mmproj/);
      const done = await cli(["import", model!, "--projector", projector!, "--name=eye"], { env });
      assert.equal(done.code, 0, done.stderr);
      const plain = await cli(["import", model!, "--name=blind"], { env });
      assert.equal(plain.code, 0, plain.stderr);
    });

    const ollama = new Ollama({ host: served.proxyUrl });
    await t.step("show tells who sees", async () => {
      const eye = await ollama.show({ model: "eye" });
      assert.ok(eye.capabilities.includes("vision"));
      assert.ok(!(await ollama.show({ model: "blind" })).capabilities.includes("vision"));
    });

    await t.step("npm ollama: chat and generate, bytes and base64", async () => {
      for (const colour of NAMES) {
        const images = [base64(colour)];
        const { message } = await ollama.chat({
          model: "eye",
          messages: [{ role: "user", content: ASK, images }],
        });
        assert.equal(message.content.trim(), colour);
      }
      const { response } = await ollama.generate({
        model: "eye",
        prompt: ASK,
        images: [plain("cyan")],
      });
      assert.equal(response?.trim(), "cyan");
      const none = await ollama.generate({ model: "eye", prompt: ASK });
      assert.equal(none.response?.trim(), "nothing");
    });

    const openai = new OpenAI({ baseURL: `${served.proxyUrl}/v1`, apiKey: "x", maxRetries: 0 });
    const anthropic = new Anthropic({ baseURL: served.proxyUrl, apiKey: "x", maxRetries: 0 });
    const dataUrl = (colour: Colour) => `data:image/bmp;base64,${base64(colour)}`;
    const image = (colour: Colour) => ({
      type: "image" as const,
      source: { type: "base64" as const, media_type: "image/png" as const, data: base64(colour) },
    });

    await t.step("npm openai: chat and responses, streamed", async () => {
      const url = `data:image/bmp;base64,${base64("magenta", 300)}`;
      const stream = await openai.chat.completions.create({
        model: "eye",
        stream: true,
        messages: [{
          role: "user",
          content: [{ type: "text", text: ASK }, { type: "image_url", image_url: { url } }],
        }],
      });
      let text = "";
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
      assert.equal(text.trim(), "magenta");
      const response = await openai.responses.create({
        model: "eye",
        input: [{
          role: "user",
          content: [
            { type: "input_text", text: ASK },
            { type: "input_image", image_url: url, detail: "auto" },
          ],
        }],
      });
      assert.equal(response.output_text.trim(), "magenta");
    });

    await t.step("npm @anthropic-ai/sdk: a block, streamed, and its tokens counted", async () => {
      const answer = await anthropic.messages.create({
        model: "eye",
        max_tokens: 10,
        messages: [{ role: "user", content: [image("yellow"), { type: "text", text: ASK }] }],
      });
      const [block] = answer.content;
      assert.equal(block?.type === "text" && block.text.trim(), "yellow");
      const { input_tokens } = await anthropic.messages.countTokens({
        model: "eye",
        messages: [{ role: "user", content: [image("yellow"), { type: "text", text: ASK }] }],
      });
      assert.equal(input_tokens, answer.usage.input_tokens);
      const streamed = await anthropic.messages.stream({
        model: "eye",
        max_tokens: 10,
        messages: [{ role: "user", content: [{ type: "text", text: ASK }, image("blue")] }],
      }).finalText();
      assert.equal(streamed.trim(), "blue");
    });

    await t.step("a picture that a tool answered with is seen, in each client", async () => {
      const call = { id: "call_1", name: "look", input: {} };
      const { message } = await ollama.chat({
        model: "eye",
        messages: [
          { role: "user", content: ASK },
          {
            role: "assistant",
            content: "",
            tool_calls: [{ function: { name: call.name, arguments: call.input } }],
          },
          { role: "tool", tool_name: call.name, content: "here", images: [base64("red")] },
        ],
      });
      assert.equal(message.content.trim(), "red");
      const response = await openai.responses.create({
        model: "eye",
        input: [
          { role: "user", content: ASK },
          { type: "function_call", call_id: call.id, name: call.name, arguments: "{}" },
          {
            type: "function_call_output",
            call_id: call.id,
            output: [
              { type: "input_text", text: "here" },
              { type: "input_image", image_url: dataUrl("green"), detail: "auto" },
            ],
          },
        ],
      });
      assert.equal(response.output_text.trim(), "green");
      const { content: [block] } = await anthropic.messages.create({
        model: "eye",
        max_tokens: 10,
        messages: [
          { role: "user", content: ASK },
          { role: "assistant", content: [{ type: "tool_use", ...call }] },
          {
            role: "user",
            content: [{ type: "tool_result", tool_use_id: call.id, content: [image("cyan")] }],
          },
        ],
      });
      assert.equal(block?.type === "text" && block.text.trim(), "cyan");
    });

    await t.step("the next turn of a response still has its picture", async () => {
      const first = await openai.responses.create({
        model: "eye",
        input: [{
          role: "user",
          content: [{ type: "input_image", image_url: dataUrl("white"), detail: "auto" }],
        }],
      });
      const next = await openai.responses.create({
        model: "eye",
        previous_response_id: first.id,
        input: ASK,
      });
      assert.equal(next.output_text.trim(), "white");
    });

    await t.step(
      "URLs are not fetched, and files and sound refused, with a 400 that says so",
      async () => {
        const seen: string[] = [];
        const web = Deno.serve(
          { hostname: "127.0.0.1", port: 0, onListen: () => {} },
          ({ url }) => {
            seen.push(url);
            return new Response(plain("red"));
          },
        );
        const url = `http://127.0.0.1:${web.addr.port}/x.bmp`;
        type Parts = OpenAI.ChatCompletionContentPart[];
        const chatted = (...content: Parts) =>
          openai.chat.completions.create({ model: "eye", messages: [{ role: "user", content }] });
        const responded = (part: OpenAI.Responses.ResponseInputContent) =>
          openai.responses.create({ model: "eye", input: [{ role: "user", content: [part] }] });
        const asked = (...content: Anthropic.ContentBlockParam[]) =>
          anthropic.messages.create({
            model: "eye",
            max_tokens: 5,
            messages: [{ role: "user", content }],
          });
        const pdf = new TextEncoder().encode("%PDF-1.7 of no pages").toBase64();
        const file = `data:application/pdf;base64,${pdf}`;
        const refused: [refusal: () => Promise<unknown>, says: RegExp][] = [
          [
            () => chatted({ type: "image_url", image_url: { url } }),
            /image URLs are not .* base64/,
          ],
          [
            () => responded({ type: "input_image", image_url: url, detail: "auto" }),
            /image URLs are not/,
          ],
          [() => asked({ type: "image", source: { type: "url", url } }), /image URLs are not/],
          [() => chatted({ type: "file", file: { file_data: file } }), /does not support files/],
          [() => responded({ type: "input_file", file_data: file }), /does not support files/],
          [
            () =>
              asked({
                type: "document",
                source: { type: "base64", media_type: "application/pdf", data: pdf },
              }),
            /of a PDF send the text/,
          ],
          [
            () => chatted({ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }),
            /does not support audio/,
          ],
        ];
        try {
          for (const [refusal, says] of refused) {
            await assert.rejects(refusal(), (error: { status: number; message: string }) => {
              assert.equal(error.status, 400, error.message);
              assert.match(error.message, says);
              return true;
            });
          }
          assert.deepEqual(seen, []);
          // It would have been there.
          assert.equal((await (await fetch(url)).bytes()).length, plain("red").length);
        } finally {
          await web.shutdown();
        }
      },
    );

    await t.step(
      "npm openai: a sound, of a model that hears; none of one that only sees",
      async () => {
        const [model, projector] = ["ear", "ear-mmproj"].map((name) =>
          `${served.home}/${name}.gguf`
        );
        makeHearingModel(model!, projector!);
        const done = await cli(["import", model!, "--projector", projector!, "--name=ear"], {
          env,
        });
        assert.equal(done.code, 0, done.stderr);
        const { capabilities } = await ollama.show({ model: "ear" });
        assert.ok(capabilities.includes("audio") && !capabilities.includes("vision"));
        const audio = (of: Tone) => ({
          type: "input_audio" as const,
          input_audio: { data: tone(of).toBase64(), format: "wav" as const },
        });
        for (const pitch of ["high", "low"] as const) {
          const { choices } = await openai.chat.completions.create({
            model: "ear",
            messages: [{
              role: "user",
              content: [{ type: "text", text: "What is it?" }, audio(pitch)],
            }],
          });
          assert.equal(choices[0]!.message.content!.trim(), pitch);
        }
        const picture = { type: "image_url" as const, image_url: { url: dataUrl("red") } };
        for (
          const [name, part, says] of [
            ["ear", picture, /does not support images/],
            ["eye", audio("low"), /does not support audio/],
            [
              "ear",
              { type: "input_audio" as const, input_audio: { data: base64("red"), format: "mp3" } },
              /no WAV or MP3 file/,
            ],
          ] as const
        ) {
          const messages = [{ role: "user" as const, content: [part] }];
          await assert.rejects(
            openai.chat.completions.create({ model: name, messages }),
            (error: { status: number; message: string }) => {
              assert.equal(error.status, 400);
              assert.match(error.message, says);
              return true;
            },
          );
        }
      },
    );

    await t.step("hostile files: refused by name, and the model goes on", async () => {
      const say = async (image: string) => {
        const answer = await fetch(`${served.proxyUrl}/api/chat`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            model: "eye",
            stream: false,
            messages: [{ role: "user", content: ASK, images: [image] }],
          }),
        });
        return { status: answer.status, body: await answer.json() };
      };
      const bomb = plain("red");
      new DataView(bomb.buffer).setInt32(18, 2 ** 31 - 1, true);
      new DataView(bomb.buffer).setInt32(22, 2 ** 31 - 1, true);
      for (
        const [bytes, why] of [
          [bomb, /pixels/],
          [brokenPng(), /cannot be decoded/],
          [new TextEncoder().encode("<svg onload=alert(1)>".repeat(9)), /an SVG file/],
        ] as const
      ) {
        const { status, body } = await say(bytes.toBase64());
        assert.equal(status, 400);
        assert.match(body.error, why);
      }
      const blind = await fetch(`${served.proxyUrl}/api/chat`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          model: "blind",
          messages: [{ role: "user", content: ASK, images: [base64("red")] }],
        }),
      });
      assert.equal(blind.status, 400);
      assert.match((await blind.json()).error, /does not support images/);
      assert.equal((await say(base64("green"))).body.message.content.trim(), "green");
    });
  } finally {
    assert.equal((await served.stop()).code, 0, served.stderr());
  }
}
