/// <reference lib="dom" />
/**
 * A newcomer's tour, as one person makes it, without a mouse: `secllama ui` in an empty home, a first answer, a PDF and an answer
 * that cites it, a conversation erased, a reload in the middle of an answer, dark and light, 200 %, a screen reader's names; and the
 * same on the terminal.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Page } from "playwright-core";
import { makePdf } from "../../src/documents/testing.ts";
import { bytesOf, holds } from "../../src/history/testing.ts";
import { addModel } from "../support/ollama_folder.ts";
import { settled, until } from "../support/patience.ts";
import { makeScriptedModel } from "../support/scripted_model.ts";
import { cli, newHome, secllama } from "../support/serve.ts";
import { startInTurn } from "../support/start_lock.ts";
import { dropFile, hasChromium, SCRIPTS, visit } from "./browser.ts";
import { overflows, serious } from "./look.ts";

interface Ui {
  readonly url: string;
  readonly env: Record<string, string>;
  stop(): Promise<void>;
}

/** `secllama ui`, which starts a serve of its own and prints where the page is. */
async function startUi(models: string): Promise<Ui> {
  const { home, env: own } = await newHome();
  assert.deepEqual([...Deno.readDirSync(home)], []);
  const key = crypto.getRandomValues(new Uint8Array(32)).toBase64();
  const env = { ...own, SECLLAMA_KEY: `sl1:${key}`, OLLAMA_MODELS: models };
  const [program, ...args] = secllama(["ui", "--no-open", "--port=0", "--proxy-port=0"]);
  const child = new Deno.Command(program!, {
    args,
    env,
    clearEnv: true,
    cwd: home,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let [out, err] = ["", ""];
  const read = async (
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    take: (text: string) => void,
  ) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
  };
  const found = Promise.withResolvers<string>();
  const reading = [
    read(child.stdout, (text) => {
      out += text;
      const url = /^http:\/\/127\.0\.0\.1:\d+\/\S*$/m.exec(out)?.[0];
      if (url !== undefined && out.endsWith("\n")) found.resolve(url);
    }),
    read(child.stderr, (text) => void (err += text)),
  ];
  void Promise.all(reading).then(() => found.reject(new Error(`secllama ui ended: ${out}${err}`)));
  return {
    url: await settled(found.promise, "the address of the page"),
    env,
    async stop() {
      child.kill("SIGTERM");
      const { code } = await settled(child.status, "secllama ui's end");
      await Promise.all(reading);
      await Deno.remove(home, { recursive: true });
      assert.equal(code, 0, err);
    },
  };
}

/** Types a question where the focus is, and waits for its answer. */
async function ask(page: Page, question: string): Promise<void> {
  const before = await page.locator(".message.assistant footer").count();
  await page.locator("#question:focus").waitFor();
  await page.keyboard.type(question);
  await page.keyboard.press("Enter");
  await page.locator(".message.assistant footer").nth(before).waitFor();
}

/** Presses a shortcut, from the thread: where a person types, letters are text. */
async function press(page: Page, key: string): Promise<void> {
  await page.locator(".thread").focus();
  await page.keyboard.press(key);
}

/** Goes to what is named by Tab alone, and presses Enter. */
async function reach(page: Page, name: RegExp): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    const text = await page.evaluate(() => {
      const one = document.activeElement as HTMLElement | null;
      return one?.getAttribute("aria-label") ?? one?.innerText ?? "";
    });
    if (name.test(text)) return await page.keyboard.press("Enter");
  }
  assert.fail(`Tab does not lead to ${name}`);
}

Deno.test({
  name: "page: a newcomer's tour, from secllama ui to a cited answer and an erased conversation",
  ignore: !hasChromium(),
  async fn(t) {
    const models = await Deno.makeTempDir({ prefix: "secllama-test-" });
    await addModel(models, "scripted:latest", [
      ["model", makeScriptedModel({ scripts: SCRIPTS, tools: [] })],
      ["params", { temperature: 0 }],
    ]);
    const ui = await startInTurn(() => startUi(models));
    const data = join(ui.env["HOME"]!, ".local/share/secllama");
    const origin = new URL(ui.url).origin + "/";
    const secret = (args: string[]) =>
      cli([...args, "--proxy-port", new URL(ui.url).port], { env: ui.env });
    try {
      await visit(ui.url, async ({ page, asked, said }) => {
        const { keyboard } = page;
        const step = (name: string, fn: () => Promise<void>) => t.step(name, fn);
        const entry = (name: RegExp) => page.getByRole("navigation").getByRole("button", { name });
        await step("the first answer, by keyboard alone", async () => {
          await page.locator("#model option").first().waitFor({ state: "attached" });
          await press(page, "m");
          await keyboard.type("scripted");
          await page.locator("#model").press("Escape");
          await press(page, "i");
          await ask(page, "Where is the register of Ghent?");
          assert.match(await page.locator(".message.assistant").innerText(), /Hello from the/);
          assert.equal(await page.locator(".badge").innerText(), "kept, sealed");
          assert.match(await page.locator(".stats").innerText(), /tokens.*sealed, isolated/);
          assert.deepEqual(await serious(page), []);
        });
        await step("a PDF is dropped, and the answer cites it", async () => {
          await press(page, "n");
          const pdf = makePdf(["The tenant pays.", "Notice of the kestrel lease: three months."]);
          await dropFile(page, "lease.pdf", "application/pdf", pdf);
          await page.locator(".attached").getByText("lease.pdf").waitFor();
          await page.locator("#question").focus();
          await ask(page, "Which notice does the kestrel lease ask for?");
          const source = page.locator(".sources summary").first();
          assert.match(await source.innerText(), /\[1\] lease\.pdf, page 2/);
          await source.focus();
          await keyboard.press("Enter");
          await page.locator(".sources").getByText("three months").waitFor();
          assert.deepEqual(await serious(page), []);
        });
        await step("a conversation is erased, and is in no byte of the data folder", async () => {
          await press(page, "n");
          await ask(page, "A question about the dunlin");
          const id = Uint8Array.fromHex(/#\/c\/([0-9a-f]{32})$/.exec(page.url())![1]!);
          const rows = (table: string) => {
            using db = new DatabaseSync(`${data}/history/history.db`, { readOnly: true });
            return db.prepare(`SELECT sealed FROM ${table} WHERE conversation = ?`).all(id)
              .map((row) => row["sealed"] as Uint8Array);
          };
          const sealed = ["messages", "texts", "filters"].flatMap(rows);
          assert.equal(sealed.length, 4);
          // As long as it is kept it is found, by the same search, and its words are not.
          for (const bytes of sealed) assert.ok(holds(bytesOf(data), bytes.subarray(0, 64)));
          assert.ok(!holds(bytesOf(data), "dunlin"));
          await page.locator(".bar .title").focus();
          await reach(page, /^More$/);
          await reach(page, /^Delete$/);
          await page.getByText(/its key is overwritten/).waitFor();
          await until(() => !holds(bytesOf(data), id), "it was erased");
          const files = bytesOf(data);
          for (const bytes of sealed) {
            for (let at = 0; at + 16 <= bytes.length; at += 16) {
              assert.ok(!holds(files, bytes.subarray(at, at + 16)));
            }
          }
          await entry(/dunlin/).waitFor({ state: "detached" });
        });
        await step("a reload in the middle of an answer loses none of it", async () => {
          await press(page, "n");
          await page.locator("#question:focus").waitFor();
          await keyboard.type("USE:endless");
          await keyboard.press("Enter");
          await page.getByText(/Forever round/).waitFor();
          await page.reload();
          await page.getByText(/Forever round/).waitFor();
          await page.locator(".working", { hasText: /\d+ tokens, [\d.]+ a second, \d+ s/ })
            .waitFor();
          await press(page, "Escape");
          await page.locator(".message.assistant footer").getByText("stopped").waitFor();
          const text = await page.locator(".message.assistant .markdown").innerText();
          assert.ok(text.startsWith("Forever round"), text.slice(0, 60));
          await page.reload();
          await page.locator(".message.assistant footer").waitFor();
          assert.equal(await page.locator(".message.assistant .markdown").innerText(), text);
        });
        await step(
          "dark and light, with nothing serious for a screen reader in any window",
          async () => {
            const ground = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
            const [, light] = /(\d+)/.exec(String(await ground()))!;
            assert.ok(Number(light) > 128);
            await press(page, "d");
            await page.waitForFunction(
              "Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0]) < 128",
            );
            for (const [key, name] of [["?", "Keyboard"], ["o", "Documents"], ["p", "Proof"]]) {
              await press(page, key!);
              await page.getByRole("dialog", { name: name! }).waitFor();
              if (key === "p") await page.getByText(/layers enforced/).first().waitFor();
              assert.deepEqual(await serious(page), [], name);
              await keyboard.press("Escape");
              await page.getByRole("dialog").waitFor({ state: "detached" });
            }
          },
        );
        await step("at 200 %", async () => {
          await page.setViewportSize({ width: 640, height: 400 });
          assert.equal(await overflows(page), false);
          const box = await page.locator("#question").boundingBox();
          assert.ok(box && box.width > 80 && box.y + box.height <= 400, JSON.stringify(box));
          await press(page, "/");
          await page.locator("#search:focus").waitFor();
          await keyboard.type("ghent");
          await page.getByText("1 found").waitFor();
          assert.equal(await overflows(page), false);
          await reach(page, /register of Ghent/);
          await page.locator(".message.user", { hasText: "Ghent" }).waitFor();
          assert.deepEqual(await serious(page), []);
        });
        await step("the terminal sees the same", async () => {
          const { code, stdout, stderr } = await secret(["history", "list", "--json"]);
          assert.equal(code, 0, stderr);
          const { conversations } = JSON.parse(stdout);
          const titles = conversations.map(({ title }: { title: string }) => title).toSorted();
          assert.deepEqual(titles, [
            "USE:endless",
            "Where is the register of Ghent?",
            "Which notice does the kestrel lease ask for?",
          ]);
          const shown = await secret(["history", "search", "ghent"]);
          assert.match(shown.stdout, /register of Ghent/);
          const docs = await secret(["docs", "list"]);
          assert.match(docs.stdout, /lease\.pdf/);
        });
        // Nothing was asked of anybody else, and nothing was refused by the page's own policy.
        assert.deepEqual(asked.filter((url) => !url.startsWith(origin)), []);
        assert.deepEqual(said, []);
        for (const word of ["kestrel", "lease.pdf", "Ghent", "dunlin"]) {
          assert.ok(!holds(bytesOf(data), word), word);
        }
      }, { colorScheme: "light" });
    } finally {
      await ui.stop();
      await Deno.remove(models, { recursive: true });
    }
  },
});
