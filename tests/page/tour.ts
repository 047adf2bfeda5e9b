/// <reference lib="dom" />
/** Steps: what a person does with the page. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import type { Page } from "playwright-core";
import { makeDocx, makePdf } from "../../src/documents/testing.ts";
import { bytesOf, holds } from "../../src/history/testing.ts";
import { until } from "../support/patience.ts";
import { cli, newHome } from "../support/serve.ts";
import { askPage, chooseModel, dropFile, type Place, type, visit } from "./browser.ts";
import { serious } from "./look.ts";

/** What is kept: edit, branches, search, pin, delete and undo, another tab. */
export async function keepsConversations({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page, context }) => {
    await chooseModel(page, "scripted");
    assert.match(
      await askPage(page, "Where is the register of Ghent?"),
      /Hello from the scripted/,
    );
    assert.equal(await page.locator(".badge").innerText(), "kept, sealed");
    const entry = page.getByRole("navigation").getByRole("button", { name: /register of Ghent/ });
    await entry.waitFor();

    await page.locator(".message.user").getByRole("button", { name: "Edit" }).click();
    const box = page.getByRole("textbox", { name: "Your message, to be asked anew" });
    await box.fill("Where is the register of Bruges?");
    await box.press("Enter");
    await page.getByText("2 of 2").waitFor();
    await page.locator(".message.assistant footer").waitFor();
    await page.getByRole("button", { name: "Earlier version" }).click();
    await page.locator(".message.user", { hasText: "Ghent" }).waitFor();
    await page.getByRole("button", { name: "Later version" }).click();
    await page.locator(".message.user", { hasText: "Bruges" }).waitFor();
    await page.getByRole("button", { name: "Regenerate" }).click();
    await page.locator(".message.assistant").getByText("2 of 2").waitFor();
    await page.locator(".message.assistant footer").waitFor();

    await page.getByRole("searchbox").fill("bruges");
    await page.getByText("1 found").waitFor();
    await page.getByRole("searchbox").fill("");
    await page.getByText("More", { exact: true }).click();
    await page.getByRole("button", { name: "Pin" }).click();
    await page.getByRole("heading", { name: "Pinned" }).waitFor();

    const address = page.url();
    assert.match(address, /#\/c\/[0-9a-f]{32}$/);
    const tab = await context.newPage();
    await tab.goto(address);
    await tab.locator(".message.user", { hasText: "Bruges" }).waitFor();
    await type(tab, "And that of Bruges again?");
    await page.locator(".message.user", { hasText: "again" }).waitFor();
    await page.locator(".message.assistant footer").nth(1).waitFor();

    await page.getByText("More", { exact: true }).click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByText(/its key is overwritten/).waitFor();
    await entry.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo" }).click();
    await entry.waitFor();
    await page.locator(".message.user", { hasText: "again" }).waitFor();
  }, { browser });
}

/** What is asked of a text that was dropped on it comes from its passages, which are named. */
export async function asksOfText({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page }) => {
    await chooseModel(page, "scripted");
    const filler = Array.from({ length: 200 }, (_, i) => `Line ${i} is about nothing much.\n\n`);
    filler[120] = "The kestrel nests in the tower of Saint Bavo.\n\n";
    const file = { name: "birds.txt", mimeType: "text/plain", buffer: filler.join("") };
    await page.locator("#files").setInputFiles({
      ...file,
      buffer: Buffer.from(file.buffer),
    });
    await page.locator(".attached").getByText("birds.txt").waitFor();
    await askPage(page, "Where does the kestrel nest?");
    const given = page.locator(".message.user .given");
    await given.getByText(/birds\.txt, lines \d+–\d+/).first().waitFor();
    assert.match(
      await given.evaluate((node) => (node as { textContent: string }).textContent),
      /tower of Saint Bavo/,
    );
  }, { browser });
}

/** A conversation that was deleted is in no byte of the data folder once it can no longer be taken back, sealed or not. */
export async function erasesForGood({ url, home, browser }: Place): Promise<void> {
  const data = `${home}/.local/share/secllama`;
  await visit(url, async ({ page }) => {
    await chooseModel(page, "scripted");
    await askPage(page, "A question about the dunlin");
    const id = /#\/c\/([0-9a-f]{32})$/.exec(page.url())![1]!;
    const db = new DatabaseSync(`${data}/history/history.db`, { readOnly: true });
    const sealed = db.prepare("SELECT sealed FROM messages WHERE conversation = ?")
      .all(Uint8Array.fromHex(id)).map((row) => row["sealed"] as Uint8Array);
    db.close();
    assert.equal(sealed.length, 2);
    // As long as it is kept it is there, so that the search below finds what it should not.
    for (const bytes of sealed) assert.ok(holds(bytesOf(data), bytes.subarray(0, 200)));
    assert.ok(!holds(bytesOf(data), "dunlin"));
    await page.getByText("More", { exact: true }).click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByText(/its key is overwritten/).waitFor();
    // The row's name is in the clear: it is gone with the rest.
    await until(() => !holds(bytesOf(data), Uint8Array.fromHex(id)), "it was erased");
    for (const bytes of sealed) {
      for (let at = 0; at + 16 <= bytes.length; at += 16) {
        assert.ok(!holds(bytesOf(data), bytes.subarray(at, at + 16)));
      }
    }
  }, { browser });
}

/** A PDF is looked up in, and cited with its page; then it is erased. Of it and of the question no word is on the disk. */
export async function asksOfPdf({ url, home, browser }: Place): Promise<void> {
  await visit(url, async ({ page }) => {
    await chooseModel(page, "scripted");
    const pdf = makePdf(["The tenant pays rent.", "Notice of the kestrel lease: three months."]);
    await dropFile(page, "lease.pdf", "application/pdf", pdf);
    await page.locator(".attached").getByText("lease.pdf").waitFor();
    await page.locator("#files").setInputFiles({
      name: "herons.docx",
      mimeType: "application/octet-stream",
      buffer: Buffer.from(makeDocx("Herons give notice in March.")),
    });
    await page.locator(".attached").getByText("herons.docx").waitFor();
    await page.getByRole("button", { name: "Look up no more in herons.docx" }).click();
    await askPage(page, "Which notice does the kestrel lease ask for?");
    const sources = page.locator(".message.assistant .sources");
    await sources.getByText("[1] lease.pdf, page 2").click();
    await sources.getByText("three months").waitFor();
    assert.equal(await page.getByText(/herons\.docx, passage/).count(), 0);
    await page.reload();
    await sources.getByText("[1] lease.pdf, page 2").waitFor();

    await page.getByRole("button", { name: "Documents" }).click();
    const panel = page.getByRole("dialog", { name: "Documents" });
    await panel.getByLabel(/by embeddings of/).selectOption("demo:latest");
    await panel.getByText(/demo:latest makes no embeddings/).waitFor();
    await panel.getByRole("button", { name: "Erase lease.pdf" }).click();
    await panel.getByText("Erased: lease.pdf").waitFor();
    await panel.getByText(/Passages that went with a question stay/).waitFor();
    await panel.getByRole("button", { name: "Erase lease.pdf" }).waitFor({ state: "detached" });
    await panel.getByLabel(/Take up conversations/).setInputFiles({
      name: "conversations.json",
      mimeType: "application/json",
      buffer: Buffer.from(JSON.stringify([{
        title: "Plover from elsewhere",
        mapping: { a: { message: { author: { role: "user" }, content: { parts: ["hi"] } } } },
      }])),
    });
    await panel.getByText("ChatGPT: 1 conversation, 1 message; left out: 0").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("navigation").getByRole("button", { name: /Plover/ }).waitFor();
    const files = bytesOf(`${home}/.local/share/secllama`);
    assert.ok(files.size > 2, [...files.keys()].join());
    for (const word of ["kestrel", "lease.pdf", "Herons", "Plover"]) assert.ok(!holds(files, word));
  }, { browser });
}

/** Waits until a folder is read, however long all of it takes: the limit is for each of its hundreds of documents. */
async function folderIsRead(page: Page): Promise<void> {
  const notice = page.locator(".notice");
  for (let said; /^Reading \d/.test(said = await notice.innerText());) {
    await page.waitForFunction(
      (said) => document.querySelector<HTMLElement>(".notice")?.innerText !== said,
      said,
    );
  }
}

/** A folder of hostile shape is dropped: what can be read of it is looked up in. Maths is drawn as such. */
export async function takesFolder({ url, browser }: Place): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "secllama-folder-" });
  try {
    let deep = folder;
    for (let i = 0; i < 30; i++) {
      deep += "/d";
      await Deno.mkdir(deep);
      await Deno.writeTextFile(`${deep}/deep${i}.txt`, `The crane nests ${i} deep.`);
    }
    for (const part of ["a", "b"]) {
      await Deno.mkdir(`${folder}/${part}`);
      await Deno.writeTextFile(`${folder}/${part}/same.txt`, `The dotterel is in ${part}.`);
    }
    await Deno.mkdir(`${folder}/.git`);
    await Deno.writeTextFile(`${folder}/.git/config.txt`, "The shrike is secret.");
    await Deno.writeTextFile(`${folder}/.hidden.txt`, "The shrike is secret.");
    await Deno.writeTextFile(`${folder}/a\u0007b\u202ec.txt`, "The plover has an odd name.");
    await Deno.writeFile(`${folder}/picture.png`, new Uint8Array([0x89, 0x50]));
    await Deno.writeFile(`${folder}/broken.pdf`, new TextEncoder().encode("%PDF-1.4 broken"));
    await Deno.symlink(folder, `${folder}/around`);
    await Deno.symlink("/etc/passwd", `${folder}/passwd.txt`);
    await visit(url, async ({ page, context }) => {
      await chooseModel(page, "scripted");
      const devtools = await context.newCDPSession(page);
      const data = { items: [], files: [folder], dragOperationsMask: 1 };
      for (const type of ["dragEnter", "dragOver", "drop"] as const) {
        await devtools.send("Input.dispatchDragEvent", { type, x: 300, y: 300, data });
      }
      const notice = page.locator(".notice");
      await folderIsRead(page);
      await notice.getByText(/documents? taken; there are more/).waitFor();
      assert.match(await notice.innerText(), /broken\.pdf: this document cannot be read/);
      await page.locator(".attached").getByText(/looked up in \d+ documents?/).waitFor();
      await askPage(page, "Where does the plover have its name?");
      const sources = page.locator(".message.assistant .sources");
      await sources.getByText(/odd name/).first().waitFor({ state: "attached" });
      await notice.getByRole("button", { name: "Close" }).click();
      await page.getByRole("button", { name: "Documents", exact: true }).click();
      const panel = page.getByRole("dialog", { name: "Documents" });
      // The list comes after the panel.
      await panel.locator(".check").first().waitFor();
      const names = await panel.locator(".check").allInnerTexts();
      assert.ok(names.some((name) => name.includes("deep3.txt")), names.join());
      assert.ok(names.some((name) => name.includes("U+202E")), names.join());
      const same = names.filter((name) => name.includes("/same.txt"));
      assert.equal(same.length, 2, "a file takes the place of another folder's");
      for (const not of [".hidden", "config.txt", "deep29", "picture"]) {
        assert.ok(!names.some((name) => name.includes(not)), not);
      }
      // The browser follows it, up to as many files as are taken.
      await Deno.remove(`${folder}/around`);
      await panel.getByLabel("Add a folder").setInputFiles(folder);
      await folderIsRead(page);
      await notice.getByText(/^\d+ of \d+ documents? taken/).waitFor();
      // A browser lists a chosen folder itself, however deep.
      await panel.locator(".check", { hasText: "deep29.txt" }).waitFor();
      const chosen = await panel.locator(".check").allInnerTexts();
      assert.equal(chosen.filter((name) => name.includes("/same.txt")).length, 2, chosen.join());
      for (const not of [".hidden", "config.txt", "picture"]) {
        assert.ok(!chosen.some((name) => name.includes(not)), not);
      }
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }, { browser });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The proof: answers as plots, the host's signed word on one of them, and the doctor, run from the page. */
export async function provesItself({ url, home, key, browser }: Place): Promise<void> {
  await visit(url, async ({ page }) => {
    await chooseModel(page, "demo");
    await askPage(page, "What is network isolation?");
    await page.locator(".signed summary").click();
    const saving = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save the receipt" }).click();
    const file = `${home}/receipt.cose`;
    await (await saving).saveAs(file);
    const env = { ...(await newHome()).env, HOME: home, SECLLAMA_KEY: key };
    const pem = await cli(["audit", "key"], { env });
    assert.equal(pem.code, 0, pem.stderr);
    await Deno.writeTextFile(`${home}/audit.pem`, pem.stdout);
    const held = await cli(["receipt", "verify", file, "--key", `${home}/audit.pem`], { env });
    assert.equal(held.code, 0, held.stderr);
    assert.match(held.stdout, /holds: line \d+ of the log/);
    const secret = await page.locator(".signed code").nth(1).innerText();
    assert.match(secret, /^[\w-]{43}$/);
    assert.ok(!held.stdout.includes(secret), "the host knows the secret");

    await page.getByRole("button", { name: "Proof" }).click();
    const proof = page.getByRole("dialog", { name: "Proof" });
    await proof.getByText("1 of 1 were sealed, and made in strict isolation").waitFor();
    await proof.getByRole("img", { name: /Tokens a second: the last [\d.]+ a second/ }).waitFor();
    await proof.getByRole("button", { name: "Run the doctor" }).click();
    const verdict = proof.getByText(/\d+ of \d+ attacks? stopped/);
    await verdict.waitFor();
    const [, stopped, all] = /(\d+) of (\d+)/.exec(await verdict.innerText())!;
    assert.ok(Number(all) >= 90 && Number(stopped) >= Number(all) - 2, `${stopped} of ${all}`);
    await proof.getByRole("cell", { name: /attack: TCP over IPv4/ }).waitFor();
    assert.deepEqual(await serious(page), []);
  }, { browser });
}

/** Of 10,000 messages a hundred are drawn, and more when they are asked for: the rest costs the browser nothing. */
export async function drawsFewOfMany({ url, browser }: Place): Promise<void> {
  const messages = Array.from({ length: 10_000 }, (_, i) => ({
    id: String(i + 1),
    parent: i === 0 ? null : String(i),
    role: i % 2 === 0 ? "user" : "assistant",
    content: `Message ${i + 1} of many. `.repeat(3),
    created: 1_700_000_000_000 + i,
  }));
  const conversations = [{ title: "Many messages", created: 1_700_000_000_000, messages }];
  const taken = await fetch(`${url}secllama/history/import`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: JSON.stringify({ format: "secllama-history", version: 1, conversations }),
  });
  assert.equal((await taken.json()).messages, 10_000);
  await visit(url, async ({ page }) => {
    await page.getByRole("navigation").getByRole("button", { name: /Many messages/ }).click();
    await page.getByText("Message 10000 of many.").first().waitFor();
    assert.equal(await page.locator(".message").count(), 100);
    await page.getByRole("button", { name: "Show earlier messages (9900)" }).click();
    await page.getByText("Message 9801 of many.").first().waitFor();
    assert.equal(await page.locator(".message").count(), 200);
    const printed = await page.evaluate(`dispatchEvent(new Event("beforeprint"));
      document.querySelectorAll(".message").length`);
    assert.equal(printed, 10_000, "paper has all of them");
    await page.evaluate(`dispatchEvent(new Event("afterprint"))`);
    await page.getByRole("button", { name: "Show earlier messages (9800)" }).waitFor();
    assert.equal(await page.locator(".message").count(), 200);
    await page.getByRole("searchbox").fill("9999");
    await page.getByText("1 found").waitFor();
  }, { browser });
}
