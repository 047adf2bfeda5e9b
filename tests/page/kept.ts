/// <reference lib="dom" />
/** Steps: what is kept of a conversation is shown, saved and read back as it was; what is not to be kept is nowhere; what is too large is refused in words. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { plain } from "../../runner/engine/testing_seeing.ts";
import { bytesOf, holds } from "../../src/history/testing.ts";
import { DOCUMENT_BYTES } from "../../src/api/documents.ts";
import { plural } from "../../src/plural.ts";
import { ROUTES } from "../../src/api/routes.ts";
import { askPage, chooseModel, dropFile, type Place, type, visit } from "./browser.ts";
import { serious } from "./look.ts";

/** Has the history take up a file of our own form. */
async function takeUp(url: string, conversations: unknown[]): Promise<void> {
  const taken = await fetch(`${url}secllama/history/import`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: JSON.stringify({ format: "secllama-history", version: 1, conversations }),
  });
  assert.equal((await taken.json()).imported, conversations.length);
}

const entry = (page: Page, name: RegExp) =>
  page.getByRole("navigation").getByRole("button", { name });

/** Thoughts are folded, calls are shown with what they ask for; saved as JSON, erased and read back it is the same. */
export async function showsAllThatIsKept({ url, browser }: Place): Promise<void> {
  const call = { function: { name: "tide_table", arguments: { at: "Ostend", hidden: "\u202e" } } };
  await takeUp(url, [{
    title: "Tides of the turnstone",
    created: 1_700_000_000_000,
    messages: [
      { id: "1", parent: null, role: "user", content: "When is the tide?" },
      {
        ...{ id: "2", parent: "1", role: "assistant", content: "```sh\ntide --at ostend\n```" },
        ...{ thinking: "The turnstone thinks of <b>tides</b>.", tool_calls: [call] },
      },
      { id: "3", parent: "1", role: "assistant", content: "Another branch." },
    ],
  }]);
  await visit(url, async ({ page, context, said }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const look = async () => {
      await entry(page, /Tides of the turnstone/).click();
      const answer = page.locator(".message.assistant");
      await answer.getByText("2 of 2").waitFor();
      await answer.getByText("Another branch.").waitFor();
      await answer.getByRole("button", { name: "Earlier version" }).click();
      const thought = answer.getByText("The turnstone thinks of <b>tides</b>.");
      await answer.getByText("Thoughts").waitFor();
      assert.equal(await thought.isVisible(), false, "it is folded");
      await answer.getByText("Thoughts").click();
      await thought.waitFor();
      const shown = answer.locator(".tool-call");
      assert.match(await shown.innerText(), /Tool call: tide_table/);
      assert.match(await shown.innerText(), /"at": "Ostend"/);
      assert.match(await shown.innerText(), /U\+202E/);
      return answer;
    };
    const answer = await look();
    await answer.getByRole("button", { name: "Copy code" }).click();
    await answer.getByRole("button", { name: "Copied" }).waitFor();
    const copied = await page.evaluate("navigator.clipboard.readText()");
    assert.equal(copied, "tide --at ostend");
    assert.deepEqual(await serious(page), []);

    const save = async (name: string) => {
      await page.getByText("More", { exact: true }).click();
      const saving = page.waitForEvent("download");
      await page.getByRole("button", { name }).click();
      const download = await saving;
      assert.match(download.suggestedFilename(), /^Tides.*\.(?:md|json)$/);
      return await Deno.readFile(await download.path());
    };
    const markdown = new TextDecoder().decode(await save("Save as Markdown"));
    assert.match(markdown, /^# Tides of the turnstone\n\n## You\n\nWhen is the tide\?/);
    const json = await save("Save as JSON");
    const id = /#\/c\/([0-9a-f]{32})$/.exec(page.url())![1];
    const erased = await fetch(`${url}secllama/history/${id}/erase`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(erased.status, 200);
    await erased.body?.cancel();
    await page.goto(url);
    await page.locator(".top").getByRole("button", { name: "Documents" }).click();
    const panel = page.getByRole("dialog", { name: "Documents" });
    const file = { name: "saved.json", mimeType: "application/json", buffer: Buffer.from(json) };
    for (const [imported, messages, skipped] of [[1, 3, 0], [0, 0, 1]]) {
      await panel.getByLabel(/Take up conversations/).setInputFiles(file);
      await panel.getByText(
        `SecLlama: ${
          plural(imported!, "conversation")
        }, ${messages} messages; left out: ${skipped}`,
      ).waitFor();
    }
    await page.keyboard.press("Escape");
    await look();
    assert.deepEqual(said, []);
  }, { browser });
}

/** Settings go with each question, are there after a reload, and are the conversation's own. */
export async function heedsSettings({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page }) => {
    const sent: Record<string, unknown>[] = [];
    page.on("request", (request) => {
      if (request.method() !== "POST" || !request.url().endsWith(ROUTES.pageReplies.path)) return;
      sent.push(request.postDataJSON().request);
    });
    await chooseModel(page, "scripted");
    const settings = page.getByRole("button", { name: "Settings", exact: true });
    const closes = async () => {
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    };
    await settings.click();
    await page.getByLabel("System prompt").fill("Speak as a sanderling.");
    await page.getByLabel(/^Temperature/).fill("0.3");
    await page.getByLabel(/^Longest answer/).fill("7");
    await closes();
    await askPage(page, "Who speaks?");
    await page.reload();
    await page.locator(".message.assistant footer").waitFor();
    await settings.click();
    assert.equal(await page.getByLabel("System prompt").inputValue(), "Speak as a sanderling.");
    await page.getByLabel(/^Temperature/).fill("");
    await closes();
    await askPage(page, "And who now?");
    const first = sent.map(({ messages, options }) => [(messages as object[])[0], options]);
    const system = { role: "system", content: "Speak as a sanderling." };
    assert.deepEqual(first, [
      [system, { temperature: 0.3, num_predict: 7 }],
      [system, { num_predict: 7 }],
    ]);
    await page.getByRole("button", { name: "New", exact: true }).click();
    await settings.click();
    assert.equal(await page.getByLabel("System prompt").inputValue(), "");
    await closes();
    await askPage(page, "Nobody in particular?");
    assert.deepEqual(sent.at(-1)!["options"], undefined);
  }, { browser });
}

/** A temporary conversation is in no byte of the data folder: not while it is held, and not once it is gone. */
export async function forgetsTemporaries({ url, home, browser }: Place): Promise<void> {
  const data = `${home}/.local/share/secllama`;
  const rows = async () => (await (await fetch(`${url}secllama/history`)).json()).total;
  const before = await rows();
  const database = () =>
    [...bytesOf(`${data}/history`)].map(([name, { length }]) => [name, length]);
  const size = database();
  await visit(url, async ({ page }) => {
    await chooseModel(page, "scripted");
    await page.getByRole("button", { name: "Temporary" }).click();
    await page.locator(".badge", { hasText: "temporary" }).waitFor();
    for (let i = 0; i < 5; i++) await askPage(page, `A question ${i} about the phalarope`);
    for (const word of ["phalarope", "scripted model."]) {
      assert.ok(!holds(bytesOf(data), word), word);
    }
    assert.equal(await rows(), before);
    assert.deepEqual(database(), size);
    assert.equal(await page.getByRole("searchbox").count(), 1);
    await page.getByRole("searchbox").fill("phalarope");
    await page.getByText("0 found").waitFor();
    await page.getByRole("searchbox").fill("");
    // The control: the same question, kept, makes a row.
    await page.getByRole("button", { name: "New", exact: true }).click();
    await askPage(page, "A kept question about the phalarope");
    assert.equal(await rows(), before + 1);
    assert.ok(!holds(bytesOf(data), "phalarope"));
    // It is still in its tab, and gone with it.
    await entry(page, /question 0 about the phalarope/).click();
    assert.equal(await page.locator(".message").count(), 10);
    await page.getByText("More", { exact: true }).click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByText("Gone. It was never written down.").waitFor();
  }, { browser });
}

/** Files and questions beyond a limit are refused in words, and what was typed is still there. */
export async function refusesLarge({ url, browser }: Place): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-large-" });
  /** A file that takes no room on the disk. */
  const sparse = async (name: string, bytes: number) => {
    const path = `${folder}/${name}`;
    using file = await Deno.create(path);
    await file.truncate(bytes);
    return path;
  };
  try {
    const pdf = await sparse("large.pdf", 2 ** 30);
    const json = await sparse("large.json", ROUTES.historyImport.maxBytes + 1);
    const text = await sparse("large.txt", 2 ** 30);
    await visit(url, async ({ page }) => {
      await chooseModel(page, "scripted");
      const notice = page.locator(".notice");
      const closes = () => notice.getByRole("button", { name: "Close" }).click();
      await page.locator("#files").setInputFiles(pdf);
      await notice.getByText(`large.pdf: larger than ${DOCUMENT_BYTES / 2 ** 20} MB`).waitFor();
      await closes();
      await page.locator("#files").setInputFiles(text);
      await notice.getByText("large.txt: larger than 20 MB").waitFor();
      await closes();
      await page.locator(".top").getByRole("button", { name: "Documents" }).click();
      const panel = page.getByRole("dialog", { name: "Documents" });
      await panel.getByLabel(/Take up conversations/).setInputFiles(json);
      await panel.getByText("larger than 256 MB").waitFor();
      await page.keyboard.press("Escape");
      // It is as it was.
      await askPage(page, "Is the redshank still there?");
    }, { browser });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A long text that is pasted goes along as a file; an address that is put into this tab is followed. */
export async function takesPastesAndAddresses({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page }) => {
    await chooseModel(page, "scripted");
    const paste = (text: string) =>
      page.locator("#question").evaluate((field, text) => {
        const clipboardData = new DataTransfer();
        clipboardData.setData("text/plain", text);
        const init = { clipboardData, bubbles: true, cancelable: true };
        return field.dispatchEvent(new ClipboardEvent("paste", init));
      }, text);
    assert.equal(await paste("word ".repeat(10_000)), true, "the browser puts it into the field");
    assert.equal(await paste("avocet ".repeat(500_000)), false);
    await page.locator(".attached").getByText("pasted.txt").waitFor();
    await askPage(page, "Where is the avocet?");
    await page.locator(".message.user .given").getByText(/pasted\.txt/).first().waitFor();
    assert.equal(await paste("avocet ".repeat(3_000_000)), false);
    await page.locator(".notice").getByText("pasted.txt: larger than 20 MB").waitFor();

    const first = page.url();
    await page.getByRole("button", { name: "New", exact: true }).click();
    await askPage(page, "Where is the godwit?");
    const second = page.url();
    assert.notEqual(first, second);
    await page.goto(first);
    await page.locator(".message.user", { hasText: "avocet" }).waitFor();
    assert.equal(page.url(), first);
    await page.goto(`${url}#/c/${"0".repeat(32)}`);
    await page.locator(".notice").getByText("the history has no such conversation").waitFor();
    assert.equal(page.url(), first, "what is shown");
    await page.goto(`${url}#/<script>`);
    await page.waitForURL(first);
    await page.locator(".message.user", { hasText: "avocet" }).waitFor();
  }, { browser });
}

/** Pictures that are together more than a question may be: it is said, and neither they nor the words are lost. */
export async function refusesManyPictures({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page }) => {
    await chooseModel(page, "eye");
    await page.locator(".capabilities").getByText("vision").waitFor();
    await page.getByRole("button", { name: "New", exact: true }).click();
    for (let i = 1; i <= 3; i++) {
      await dropFile(page, "large.bmp", "image/bmp", plain("red", 1800));
      await page.locator(".attached").getByText(`picture ${i}`).waitFor();
    }
    const before = await page.getByRole("navigation").getByRole("listitem").count();
    await type(page, "Which of them is red?");
    await page.locator(".notice").getByText(/over 32 MiB/).waitFor();
    assert.equal(await page.locator("#question").inputValue(), "Which of them is red?");
    await page.locator(".attached").getByText("picture 3").waitFor();
    await page.reload();
    // No empty conversation is left of it.
    await page.waitForFunction((n) => document.querySelectorAll("nav li").length === n, before);
  }, { browser });
}
