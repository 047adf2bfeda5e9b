/// <reference lib="dom" />
/** Steps: how the page looks and is used: dark, zoomed, narrow, by keyboard alone, by a screen reader's rules (axe-core). */
import assert from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { askPage, chooseModel, type Place, visit } from "./browser.ts";

/** What axe-core finds that is serious or critical. */
export async function serious(page: Page): Promise<string[]> {
  // The page's own policy refuses a script that is put into it; the browser's own hand may.
  const found = await page.evaluate(
    `(() => { ${axe.source}; return axe.run(document, { resultTypes: ["violations"] }); })()`,
  ) as {
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  return found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`);
}

/** Whether anything is wider than the window. */
export function overflows(page: Page): Promise<boolean> {
  return page.evaluate("document.documentElement.scrollWidth > innerWidth");
}

/** The page's windows, each with the key that opens it. */
const WINDOWS: readonly (readonly [key: string | undefined, name: string])[] = [
  ["?", "Keyboard"],
  ["o", "Documents"],
  ["s", "Settings of this conversation"],
  ["p", "Proof"],
  [undefined, "Prompts"],
];

/** Light or dark as the system is; nothing serious in any of its windows. */
export async function looksGood({ url, browser }: Place, scheme: "light" | "dark"): Promise<void> {
  await visit(url, async ({ page }) => {
    await chooseModel(page, "scripted");
    await page.getByText("Ask something", { exact: true }).waitFor();
    assert.deepEqual(await serious(page), []);
    await askPage(page, "A question of **mine**");
    assert.deepEqual(await serious(page), []);
    const ground = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    const [red] = /\d+/.exec(String(ground))!;
    assert.equal(Number(red) < 128, scheme === "dark", String(ground));
    await page.getByText("More", { exact: true }).click();
    assert.deepEqual(await serious(page), []);
    await page.keyboard.press("Escape");
    await page.locator(".thread").focus();
    for (const [key, name] of WINDOWS) {
      if (key === undefined) await page.locator(".top").getByRole("button", { name }).click();
      else await page.keyboard.press(key);
      await page.getByRole("dialog", { name }).waitFor();
      if (key === "p") await page.getByText(/layers enforced/).first().waitFor();
      if (name === "Prompts") await page.getByRole("dialog").getByLabel("Name").waitFor();
      assert.deepEqual(await serious(page), [], name);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
    await page.locator(".thread").focus();
    await page.keyboard.press("d");
    await page.waitForFunction(
      (before) => getComputedStyle(document.body).backgroundColor !== before,
      ground,
    );
  }, { browser, colorScheme: scheme });
}

/** What a window of 1280 by 800 is at 200 % zoom, in CSS pixels; and a small telephone. */
export const SMALL = [{ width: 640, height: 400 }, { width: 320, height: 568 }] as const;

/** Nothing is cut off in a small window, and it still answers. */
export async function fitsInto(
  { url, browser }: Place,
  viewport: typeof SMALL[number],
): Promise<void> {
  await visit(url, async ({ page }) => {
    await chooseModel(page, "scripted");
    assert.equal(await overflows(page), false, `${viewport.width}, empty`);
    await askPage(page, "x".repeat(400));
    assert.equal(await overflows(page), false, `${viewport.width}, with an answer`);
    const box = await page.locator("#question").boundingBox();
    assert.ok(
      box && box.width > 80 && box.y + box.height <= viewport.height,
      JSON.stringify(box),
    );
    for (const [key, name] of WINDOWS) {
      await page.locator(".thread").focus();
      if (key === undefined) await page.locator(".top").getByRole("button", { name }).click();
      else await page.keyboard.press(key);
      const dialog = page.getByRole("dialog", { name });
      await dialog.waitFor();
      assert.equal(await overflows(page), false, `${viewport.width}, ${name}`);
      const isWider = await dialog.evaluate((one) => one.scrollWidth > one.clientWidth);
      assert.equal(isWider, false, `${viewport.width}: ${name} is wider than its window`);
      const close = await dialog.getByRole("button", { name: `Close ${name}` }).boundingBox();
      assert.ok(close && close.x + close.width <= viewport.width, `${name} cannot be closed`);
      assert.deepEqual(await serious(page), [], name);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
    await page.getByRole("button", { name: "List of conversations" }).click();
    await page.getByRole("navigation").waitFor();
    assert.equal(await overflows(page), false, `${viewport.width}, the list`);
    assert.deepEqual(await serious(page), []);
  }, { browser, viewport, deviceScaleFactor: 2 });
}

/** Ask, stop, move, edit, branch, settings, search, help: with no mouse. */
export async function worksByKeyboard({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page }) => {
    const { keyboard } = page;
    await page.locator("#model option").first().waitFor({ state: "attached" });
    await keyboard.press("Escape");
    await keyboard.press("m");
    await keyboard.type("scripted");
    await keyboard.press("Escape");
    assert.equal(await page.locator("#model").inputValue(), "scripted:latest");
    await keyboard.press("i");
    await keyboard.type("USE:endless");
    await keyboard.press("Enter");
    await page.getByText(/Forever round/).waitFor();
    await keyboard.press("Escape");
    await page.locator(".message.assistant footer").getByText("stopped").waitFor();
    await keyboard.press("Escape");
    await keyboard.press("k");
    await keyboard.press("k");
    assert.equal(await page.evaluate("document.activeElement.className"), "message user");
    await keyboard.press("e");
    await page.locator(".edit textarea").waitFor();
    await keyboard.press("Control+A");
    await keyboard.type("Another question");
    await keyboard.press("Enter");
    await page.locator(".message.user").getByText("2 of 2").waitFor();
    await page.locator(".message.assistant footer").waitFor();
    await page.locator(".message.user").focus();
    await keyboard.press("[");
    await page.locator(".message.user", { hasText: "USE:endless" }).waitFor();
    await keyboard.press("s");
    await page.getByRole("dialog").waitFor();
    await keyboard.press("Tab");
    await keyboard.type("Be brief.");
    await keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await keyboard.press("/");
    await page.locator("#search:focus").waitFor();
    await keyboard.type("another question");
    await page.getByText("1 found").waitFor();
    await keyboard.press("Escape");
    await keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await keyboard.press("Escape");
    // The focus is never lost in a place that cannot be seen.
    for (let i = 0; i < 40; i++) {
      await keyboard.press("Tab");
      const seen = await page.evaluate(`(() => {
          const one = document.activeElement;
          const box = one.getBoundingClientRect();
          return one === document.body || (box.width > 0 && box.height > 0);
        })()`);
      assert.ok(seen, `Tab ${i}`);
    }
  }, { browser });
}
