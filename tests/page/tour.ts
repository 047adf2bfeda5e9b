/** Steps: what a person does with the page. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { askPage, chooseModel, type Place, type, visit } from "./browser.ts";

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
    const given = page.locator(".given");
    await given.getByText(/birds\.txt, lines \d+–\d+/).first().waitFor();
    assert.match(
      await given.evaluate((node) => (node as { textContent: string }).textContent),
      /tower of Saint Bavo/,
    );
  }, { browser });
}
