/// <reference lib="dom" />
/** Steps: several tabs of one conversation, of which one changes or ends what another waits for; reloads at any moment. */
import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { seeded, seeds } from "../support/seeds.ts";
import { chooseModel, type Place, type, visit } from "./browser.ts";

/** A conversation in which an answer without an end comes, and another tab that shows it. */
async function twoTabs(page: Page, context: BrowserContext, question: string): Promise<Page> {
  await page.getByRole("button", { name: "New", exact: true }).click();
  await chooseModel(page, "scripted");
  await type(page, `USE:endless ${question}`);
  await page.getByText(/Forever round/).waitFor();
  const other = await context.newPage();
  await other.goto(page.url());
  await other.getByText(/Forever round/).waitFor();
  return other;
}

const idOf = (page: Page) => /#\/c\/([0-9a-f]{32})$/.exec(page.url())![1]!;

/** What the history has of a conversation. */
async function kept(url: string, id: string): Promise<{ role: string; content: string }[]> {
  const answer = await fetch(`${url}secllama/history/${id}`);
  return answer.ok ? (await answer.json()).messages : [];
}

/** While an answer comes in one tab, another edits the question, deletes the conversation, or somebody erases it. */
export async function survivesOtherTabs({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page, context }) => {
    const edits = await twoTabs(page, context, "the avocet");
    await page.locator(".message .stop").click();
    await page.locator(".message.assistant footer").getByText("stopped").waitFor();
    await edits.locator(".message.assistant footer").getByText("stopped").waitFor();
    await edits.locator(".message.user").getByRole("button", { name: "Edit" }).click();
    await page.getByRole("button", { name: "Regenerate" }).click();
    // Its first words: only then has its turn begun for the other tab as well.
    await page.locator(".message.assistant:has(.working)", { hasText: "Forever" }).waitFor();
    const box = edits.getByRole("textbox", { name: "Your message, to be asked anew" });
    await box.fill("USE:text the other avocet");
    await box.press("Enter");
    // One at a time, in whichever tab; what was typed stays until it can be asked.
    await edits.getByText("An answer comes in this conversation").waitFor();
    assert.equal(await box.inputValue(), "USE:text the other avocet");
    await page.locator(".message .stop").click();
    await edits.waitForFunction(() => !document.querySelector(".working"));
    await box.press("Enter");
    await edits.locator(".message.user", { hasText: "the other avocet" }).waitFor();
    await edits.locator(".message.assistant").getByText("Hello from the").waitFor();
    await edits.locator(".message.assistant footer").waitFor();
    const all = await kept(url, idOf(page));
    const roles = ["user", "assistant", "assistant", "user", "assistant"];
    assert.deepEqual(all.map(({ role }) => role), roles);
    await edits.close();

    const deletes = await twoTabs(page, context, "the bittern");
    await deletes.getByText("More", { exact: true }).click();
    await deletes.getByRole("button", { name: "Delete" }).click();
    await deletes.getByText(/its key is overwritten/).waitFor();
    // The tab in which it came shows that it is gone, and can be typed in.
    await page.getByText("Ask something", { exact: true }).waitFor();
    await deletes.getByRole("button", { name: "Undo" }).click();
    await deletes.locator(".message.user", { hasText: "bittern" }).waitFor();
    const undone = await kept(url, idOf(deletes));
    assert.deepEqual(undone.map(({ role }) => role), ["user", "assistant"]);
    assert.match(undone[1]!.content, /^Forever round/);
    await deletes.close();

    const watches = await twoTabs(page, context, "the corncrake");
    const gone = idOf(page);
    const erased = await fetch(`${url}secllama/history/${gone}/erase`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(erased.status, 200);
    await erased.body?.cancel();
    await page.locator(".message .stop").click();
    // It could not be kept, and that is said; nothing of it comes back.
    await page.locator(".message.assistant").getByText(/no such conversation/).waitFor();
    assert.deepEqual(await kept(url, gone), []);
    await type(page, "A question into nothing");
    await page.locator(".notice").getByText(/no such conversation/).waitFor();
    assert.equal(await page.locator("#question").inputValue(), "A question into nothing");
    await watches.close();
  }, { browser });
}

/** A reload at any moment of an answer: it is there once, whole, in the end. */
export async function survivesReloads({ url, browser }: Place, count: number): Promise<void> {
  for (const seed of seeds(count)) {
    const random = seeded(seed);
    await visit(url, async ({ page }) => {
      await chooseModel(page, "scripted");
      await page.getByRole("button", { name: "Settings", exact: true }).click();
      await page.getByLabel("Longest answer, tokens").fill("40");
      await page.keyboard.press("Escape");
      await type(page, `USE:endless ${seed}`);
      await page.locator(".message.user", { hasText: "USE:endless" }).waitFor();
      for (let reloads = 0; reloads < 3; reloads++) {
        // Any moment is one to reload at; none is waited for.
        await new Promise((resolve) => setTimeout(resolve, random() * 300));
        await page.reload();
      }
      const answer = page.locator(".message.assistant");
      await answer.locator("footer").waitFor();
      await answer.getByText("cut at the most tokens").waitFor();
      assert.equal(await page.locator(".message").count(), 2);
      const all = await kept(url, idOf(page));
      assert.deepEqual(all.map(({ role }) => role), ["user", "assistant"], `seed ${seed}`);
      assert.equal(all[1]!.content, await answer.locator(".markdown").innerText());
    }, { browser });
  }
}
