/// <reference lib="dom" />
/** Steps: what lies about on a desk: folders, pins, a library of prompts, copies, prints, the keyboard's help. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { getDocumentProxy } from "unpdf";
import { askPage, chooseModel, type Place, visit } from "./browser.ts";
import { serious } from "./look.ts";

/** Conversations in folders, pinned, copied as Markdown, saved and read back; a reload later all of it is there. */
export async function keepsOrder({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page, context }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await chooseModel(page, "scripted");
    const list = page.getByRole("navigation");
    const more = () => page.getByText("More", { exact: true }).click();
    const heading = (name: string) => list.getByRole("heading", { name, exact: true });
    await askPage(page, "The wagtail in a folder");
    await more();
    await page.getByLabel("Folder").fill("Field notes");
    await page.getByLabel("Folder").press("Enter");
    await heading("Field notes").waitFor();
    await page.getByRole("button", { name: "New", exact: true }).click();
    await askPage(page, "The wryneck is **pinned**");
    await more();
    await page.getByRole("button", { name: "Pin", exact: true }).click();
    await heading("Pinned").waitFor();
    const titles = page.getByRole("textbox", { name: "Title of the conversation" });
    await titles.fill("A wryneck of note");
    await titles.press("Enter");
    await list.getByRole("button", { name: "A wryneck of note" }).waitFor();

    await more();
    await page.getByRole("button", { name: "Copy as Markdown" }).click();
    await page.getByText("Copied as Markdown").waitFor();
    assert.equal(
      await page.evaluate("navigator.clipboard.readText()"),
      "# A wryneck of note\n\n## You\n\nThe wryneck is **pinned**\n\n" +
        "## scripted:latest\n\nHello from the scripted model.\n",
    );
    // Where the browser lets nothing be copied, that is said.
    await context.clearPermissions();
    await page.evaluate(`Object.defineProperty(navigator, "clipboard", {
      value: { writeText: () => Promise.reject(new Error("denied")) } })`);
    await more();
    await page.getByRole("button", { name: "Copy as Markdown" }).click();
    await page.getByText("This browser did not let it be copied").waitFor();

    await page.reload();
    await heading("Pinned").waitFor();
    // The list comes before what is open.
    await page.locator(".message.user", { hasText: "wryneck" }).waitFor();
    assert.deepEqual(
      (await list.getByRole("heading").allInnerTexts()).filter((name) =>
        ["Pinned", "Field notes", "Conversations"].includes(name)
      ).slice(0, 2),
      ["Pinned", "Field notes"],
    );
    assert.equal(await titles.inputValue(), "A wryneck of note");
    await more();
    await page.getByRole("button", { name: "Unpin" }).click();
    await list.getByRole("button", { name: "A wryneck of note" }).waitFor();
    await page.waitForFunction(
      () =>
        ![...document.querySelectorAll("nav h2")].some((one) =>
          one.textContent === "Pinned" &&
          one.nextElementSibling?.textContent?.includes("A wryneck of note")
        ),
    );
    assert.deepEqual(await serious(page), []);
  }, { browser });
}

/** What is in a folder is found there, however much is newer. */
export async function looksIntoFolders({ url, browser }: Place): Promise<void> {
  const conversations = Array.from({ length: 300 }, (_, i) => ({
    title: `Swift ${i}`,
    created: 1_600_000_000_000 + i * 1000,
    folder: i < 3 ? "Old summers" : i === 298 ? "Pinned" : "",
    pinned: i === 299,
    messages: [{ id: "1", parent: null, role: "user", content: i === 1 ? "screaming" : "gliding" }],
  }));
  const taken = await fetch(`${url}secllama/history/import`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: JSON.stringify({ format: "secllama-history", version: 1, conversations }),
  });
  assert.equal((await taken.json()).imported, 300);
  await visit(url, async ({ page, asked }) => {
    const list = page.getByRole("navigation");
    await list.getByRole("heading", { name: "Old summers" }).waitFor();
    assert.equal(await list.getByRole("button", { name: "Swift 1", exact: true }).count(), 0);
    await list.getByRole("button", { name: "Show all of Old summers (3)" }).click();
    await list.getByText("3 found").waitFor();
    await list.getByRole("button", { name: "Swift 2" }).waitFor();
    await page.getByRole("searchbox").fill("screaming");
    await list.getByText("1 found").waitFor();
    assert.deepEqual(await serious(page), []);
    await list.getByRole("button", { name: /Swift 1/ }).click();
    await page.locator(".message.user", { hasText: "screaming" }).waitFor();
    await page.getByRole("searchbox").fill("");
    await list.getByText("3 found").waitFor();
    await list.getByRole("button", { name: "All conversations" }).click();
    await list.getByRole("heading", { name: "Old summers" }).waitFor();
    // A folder may be called as what is pinned is: neither takes the other's place.
    const pinned = list.getByRole("heading", { name: "Pinned", exact: true });
    assert.equal(await pinned.count(), 2);
    for (const name of ["Swift 298", "Swift 299"]) {
      assert.equal(await list.getByRole("button", { name, exact: true }).count(), 1, name);
    }
    await page.getByRole("searchbox").fill("gliding");
    await list.getByText("100 found, the newest: there may be more").waitFor();
    assert.deepEqual(asked.filter((address) => /summers/i.test(address)), [], "in no address");
  }, { browser });
}

/** A text of one's own becomes the question, or the system prompt; two tabs lose none of them; what fails keeps what was typed. */
export async function keepsPrompts({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page, context }) => {
    await chooseModel(page, "scripted");
    const open = async (tab: Page) => {
      await tab.locator(".top").getByRole("button", { name: "Prompts" }).click();
      const panel = tab.getByRole("dialog", { name: "Prompts" });
      await panel.getByLabel("Name").waitFor();
      return panel;
    };
    const add = async (tab: Page, name: string, text: string) => {
      const panel = tab.getByRole("dialog", { name: "Prompts" });
      await panel.getByLabel("Name").fill(name);
      await panel.getByLabel("Text").fill(text);
      await panel.getByRole("button", { name: "Add", exact: true }).click();
      await panel.locator(".entry", { hasText: name }).waitFor();
    };
    const other = await context.newPage();
    await other.goto(url);
    const [panel] = [await open(page), await open(other)];
    assert.deepEqual(await serious(page), []);
    await add(page, "Brief", "Answer in one sentence.");
    await add(other, "Careful", "Name what you do not know.");
    await other.getByRole("dialog").locator(".entry", { hasText: "Brief" }).waitFor();
    // The first tab's list is old by now: what it takes away is its own, and nothing else.
    await panel.getByRole("button", { name: "Remove Brief" }).click();
    await panel.locator(".entry", { hasText: "Careful" }).waitFor();
    assert.equal(await panel.locator(".entry", { hasText: "Brief" }).count(), 0);
    await other.close();
    // What cannot be kept stays in its fields.
    await context.route(
      /\/secllama\/prompts$/,
      (route) =>
        route.request().method() === "PUT"
          ? route.fulfill({ status: 507, json: { error: "no space is left", code: "disk-full" } })
          : route.continue(),
    );
    await panel.getByLabel("Name").fill("Lost");
    await panel.getByLabel("Text").fill("Not lost.");
    await panel.getByRole("button", { name: "Add", exact: true }).click();
    await panel.getByText("no space is left").waitFor();
    assert.equal(await panel.getByLabel("Text").inputValue(), "Not lost.");
    await context.unroute(/\/secllama\/prompts$/);
    await panel.locator(".entry", { hasText: "Careful" }).click();
    await page.waitForFunction(
      () =>
        document.querySelector<HTMLTextAreaElement>("#question")?.value ===
          "Name what you do not know.",
    );
    await open(page);
    await panel.getByRole("button", { name: "New conversation with Careful as system prompt" })
      .click();
    await page.getByRole("button", { name: "Settings", exact: true }).click();
    assert.equal(
      await page.getByLabel("System prompt").inputValue(),
      "Name what you do not know.",
    );
  }, { browser });
}

/** The words of a PDF, a page each. */
async function pagesOf(pdf: Uint8Array): Promise<string[]> {
  const document = await getDocumentProxy(new Uint8Array(pdf));
  const pages: string[] = [];
  for (let at = 1; at <= document.numPages; at++) {
    const { items } = await (await document.getPage(at)).getTextContent();
    pages.push(items.map((item) => "str" in item ? item.str : "").join(" "));
  }
  return pages;
}

/** Letters of a text, whatever a line's end made of the spaces between. */
const letters = (text: string) => text.replace(/\s/g, "");

/** A megabyte in one line, of which the window shows the beginning. */
const LONG_LINE = `${"nightjar ".repeat(1e6 / 9)}the end of the long line`;

/** What is printed, as the browser makes a PDF of it: title, question, a wide table to its last column, from a dark window too. */
export async function printsAll({ url, browser }: Place): Promise<void> {
  const row = (name: string) =>
    "|" + Array.from({ length: 24 }, (_, i) => `${name}column${i}`).join("|") + "|";
  const messages = [
    { id: "1", parent: null, role: "user", content: "What flies?" },
    {
      id: "2",
      parent: "1",
      role: "assistant",
      content: [row("head"), "|-".repeat(24) + "|", row("cell")].join("\n"),
    },
    ...Array.from({ length: 150 }, (_, i) => ({
      id: String(i + 3),
      parent: String(i + 2),
      role: i % 2 === 0 ? "user" : "assistant",
      content: i === 149 ? LONG_LINE : `Line ${i} of many.`,
    })),
  ];
  const conversations = [{ title: "Printed nightjar", created: 1_700_000_000_000, messages }];
  const taken = await fetch(`${url}secllama/history/import`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: JSON.stringify({ format: "secllama-history", version: 1, conversations }),
  });
  assert.equal((await taken.json()).imported, 1);
  await visit(url, async ({ page }) => {
    await page.getByRole("navigation").getByRole("button", { name: /Printed nightjar/ }).click();
    await page.getByText("Line 148 of many.").waitFor();
    assert.equal(await page.locator(".message").count(), 100);
    const printed = (await pagesOf(await page.pdf())).join(" ");

    for (
      const name of [
        "headcolumn23",
        "cellcolumn0",
        "cellcolumn23",
        "Line0ofmany",
        "Printednightjar",
        "Whatflies?",
        "theendofthelongline",
      ]
    ) {
      assert.ok(letters(printed).includes(name), `${name} is not on the paper`);
    }
    // Nothing of the window.
    assert.ok(!/Prompts|Regenerate|kept, sealed/.test(printed));
    await page.locator(".thread").focus();
    await page.keyboard.press("d");
    await page.emulateMedia({ media: "print" });
    const ink = await page.evaluate("getComputedStyle(document.body).color");
    const [red] = /\d+/.exec(String(ink))!;
    assert.ok(Number(red) < 128, `light ink on paper: ${ink}`);
    await page.emulateMedia({ media: null });
    const dark = await page.evaluate("getComputedStyle(document.body).color");
    assert.ok(Number(/\d+/.exec(String(dark))![0]) > 128, "the window stays as it was");
  }, { browser });
}

/** Each key of the help does what it says there, and single letters can be turned off. */
export async function helpIsTrue({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page, context }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await chooseModel(page, "scripted");
    await askPage(page, "A first question");
    await askPage(page, "A second question");
    const thread = page.locator(".thread");
    const focused = (selector: string) => page.locator(`${selector}:focus`).waitFor();
    const dialog = (name: string) => page.getByRole("dialog", { name });
    const closes = async () => {
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    };
    const sidebar = page.getByRole("navigation");
    const acts: Record<string, () => Promise<unknown>> = {
      "?": async () => {
        await dialog("Keyboard").waitFor();
        await closes();
      },
      i: () => focused("#question"),
      "/": () => focused("#search"),
      b: async () => {
        await sidebar.waitFor({ state: "detached" });
        await page.keyboard.press("b");
        await sidebar.waitFor();
      },
      j: () => focused(".message"),
      k: () => focused(".message"),
      e: async () => {
        await focused(".edit textarea");
        await page.keyboard.press("Escape");
      },
      r: async () => {
        await page.locator(".message.assistant").last().getByText("2 of 2").waitFor();
        await page.locator(".message.assistant").last().locator("footer").waitFor();
      },
      "[": () => page.locator(".message.assistant").last().getByText("1 of 2").waitFor(),
      "]": () => page.locator(".message.assistant").last().getByText("2 of 2").waitFor(),
      c: () => page.getByRole("button", { name: "Copied" }).first().waitFor(),
      m: () => focused("#model"),
      s: async () => {
        await dialog("Settings of this conversation").waitFor();
        await closes();
      },
      o: async () => {
        await dialog("Documents").waitFor();
        await closes();
      },
      p: async () => {
        await dialog("Proof").waitFor();
        await closes();
      },
      d: () => page.locator("html[data-theme]").waitFor(),
      t: () => page.locator(".badge", { hasText: "temporary" }).waitFor(),
      n: () => page.locator(".badge", { hasText: "kept, sealed" }).waitFor(),
    };
    await thread.focus();
    await page.keyboard.press("?");
    const named = await dialog("Keyboard").locator("kbd").allInnerTexts();
    const single = named.filter((key) => [...key].length === 1);
    assert.deepEqual(single.toSorted(), Object.keys(acts).toSorted(), "each key is tried");
    await closes();
    for (const [key, done] of Object.entries(acts)) {
      // From the last answer: what is done is done to it.
      const last = page.locator(".message.assistant").last();
      if (await last.count() > 0 && !["j", "k", "e"].includes(key)) await last.focus();
      else await thread.focus();
      await page.keyboard.press(key);
      await done();
    }
    await page.locator(".thread").focus();
    await page.keyboard.press("?");
    await page.getByLabel("Single letters are shortcuts").uncheck();
    await closes();
    await page.locator(".thread").focus();
    await page.keyboard.press("s");
    assert.equal(await page.getByRole("dialog").count(), 0);
  }, { browser });
}
