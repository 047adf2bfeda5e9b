/**
 * Takes the pictures of the page in docs/pictures/page-*.png, of a real serve with the demo model in Debian's Chromium.
 *
 *     deno run -A --config tests/deps.json scripts/page_pictures.ts
 */
import { Buffer } from "node:buffer";
import { makePdf } from "../src/documents/testing.ts";
import { askPage, serveWithHistory, visit } from "../tests/page/browser.ts";

const FOLDER = new URL("../docs/pictures/", import.meta.url).pathname;
const SIZE = { width: 1100, height: 700 };

await using served = await serveWithHistory();
for (const colorScheme of ["light", "dark"] as const) {
  await visit(served.proxyUrl, async ({ page }) => {
    await page.locator("#model option").first().waitFor({ state: "attached" });
    await page.locator("#model").selectOption("demo:latest");
    await askPage(page, "What is network isolation?");
    await askPage(page, "Where are my keys?");
    await page.screenshot({ path: `${FOLDER}page-${colorScheme}.png` });
    if (colorScheme === "dark") return;
    await page.getByRole("button", { name: "Proof" }).click();
    await page.getByText(/layers enforced/).first().waitFor();
    await page.screenshot({ path: `${FOLDER}page-proof.png` });
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "New", exact: true }).click();
    const lease = [
      "The tenant pays the rent by the third day.",
      "Notice of this lease is three months.",
    ];
    await page.locator("#files").setInputFiles({
      name: "lease.pdf",
      mimeType: "application/pdf",
      buffer: Buffer.from(makePdf(lease)),
    });
    await page.locator(".attached").getByText("lease.pdf").waitFor();
    await askPage(page, "Which notice does the lease ask for?");
    await page.locator(".sources summary").first().click();
    await page.screenshot({ path: `${FOLDER}page-documents.png` });
  }, { colorScheme, viewport: SIZE });
}
