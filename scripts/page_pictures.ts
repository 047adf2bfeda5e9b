/**
 * Takes the pictures of the page in docs/pictures/page-*.png, of a real serve with the demo model in Debian's Chromium. The answer with
 * maths is of a scripted model: the demo model knows none.
 *
 *     deno run -A --config tests/deps.json scripts/page_pictures.ts
 */
import { Buffer } from "node:buffer";
import { makePdf } from "../src/documents/testing.ts";
import { askPage, serveWithHistory, visit } from "../tests/page/browser.ts";

const FOLDER = new URL("../docs/pictures/", import.meta.url).pathname;
const SIZE = { width: 1100, height: 700 };

const MATHS = String.raw`The roots of $ax^2+bx+c=0$ are

$$x_{1,2}=\frac{-b\pm\sqrt{b^2-4ac}}{2a}$$

| discriminant | roots |
|---|---|
| $b^2>4ac$ | two real ones |
| $b^2=4ac$ | one, twice |
| $b^2<4ac$ | a pair in $\mathbb{C}$ |
`;

await using served = await serveWithHistory({ text: { text: MATHS }, after: { text: "Done." } });
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
    await page.getByRole("button", { name: "Run the doctor" }).click();
    const verdict = page.getByText(/attacks were stopped/);
    await verdict.waitFor();
    await verdict.scrollIntoViewIfNeeded();
    await page.screenshot({ path: `${FOLDER}page-doctor.png` });
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "New", exact: true }).click();
    await page.locator("#model").selectOption("scripted:latest");
    await askPage(page, "What are the roots of a quadratic equation?");
    await page.screenshot({ path: `${FOLDER}page-maths.png` });
    await page.locator("#model").selectOption("demo:latest");
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
