/// <reference lib="dom" />
/** Steps: a reply outlives the page that asked for it: reload, another tab, a tab that was closed. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { chooseModel, type Place, type, visit } from "./browser.ts";

/** Asks for an answer without an end, and waits until some of it is there. */
async function begin(page: Page): Promise<void> {
  await chooseModel(page, "scripted");
  await type(page, "USE:endless");
  await page.getByText(/Forever round/).waitFor();
}

/** Waits until more of the answer is there than now. */
async function grows(page: Page): Promise<void> {
  const working = page.locator(".message .working", { hasText: /\d+ tokens/ });
  await working.waitFor();
  const before = parseInt(await working.innerText());
  // A function: the page's policy would refuse to evaluate a text again and again.
  await page.waitForFunction(
    (n) => parseInt(document.querySelector(".message .working")?.textContent ?? "0") > n,
    before,
  );
}

/** A reload in the middle of an answer loses none of it. */
export async function survivesReload({ url, browser }: Place, temporary: boolean): Promise<void> {
  await visit(url, async ({ page }) => {
    if (temporary) await page.getByRole("button", { name: "Temporary" }).click();
    await begin(page);
    assert.match(page.url(), temporary ? /#\/t\/[0-9a-f]{32}$/ : /#\/c\/[0-9a-f]{32}$/);
    await page.reload();
    await page.locator(".message.user", { hasText: "USE:endless" }).waitFor();
    await grows(page);
    assert.match(
      await page.locator(".working").innerText(),
      /\d+ tokens, [\d.]+ a second, \d+ s/,
    );
    await page.locator(".message .stop").click();
    await page.locator(".message.assistant footer").getByText("stopped").waitFor();
    const text = await page.locator(".message.assistant .markdown").innerText();
    assert.ok(text.startsWith("Forever round"), text.slice(0, 60));
    await page.reload();
    await page.locator(".message.assistant .markdown").waitFor();
    assert.equal(await page.locator(".message.assistant .markdown").innerText(), text);
    assert.equal(await page.locator(".message").count(), 2);
  }, { browser });
}

/** An answer whose tab was closed is kept, and another tab sees it come. */
export async function outlivesItsTab({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page, context }) => {
    await begin(page);
    const other = await context.newPage();
    await other.goto(page.url());
    await grows(other);
    await page.close();
    await grows(other);
    await other.keyboard.press("Escape");
    await other.locator(".message.assistant footer").waitFor();
    const text = await other.locator(".message.assistant .markdown").innerText();
    await other.reload();
    await other.locator(".message.assistant .markdown").waitFor();
    assert.equal(await other.locator(".message.assistant .markdown").innerText(), text);
  }, { browser });
}
