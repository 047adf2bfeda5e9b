/// <reference lib="dom" />
/** Steps: pictures in a conversation, with a model that sees, and with one that does not. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { type Colour, plain } from "../../runner/engine/testing_seeing.ts";
import { makeScannedPdf, rgbImage } from "../../src/documents/testing.ts";
import { askPage, chooseModel, dropFile, type Place, visit } from "./browser.ts";
import { serious } from "./look.ts";

const ASK = "What colour is this?";

/** Pastes a file where a person types. */
async function pasteFile(page: Page, type: string, bytes: Uint8Array): Promise<void> {
  const clipboardData = await page.evaluateHandle(({ type, base64 }) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "pasted", { type }));
    return transfer;
  }, { type, base64: bytes.toBase64() });
  await page.locator("#question").evaluate((box, clipboardData) => {
    const event = { clipboardData, bubbles: true, cancelable: true };
    box.dispatchEvent(new ClipboardEvent("paste", event));
  }, clipboardData);
}

/** A picture of one colour as this browser writes it. */
async function drawn(page: Page, type: string, colour: Colour): Promise<Uint8Array> {
  const base64 = await page.evaluate(async ({ type, colour }) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [64, 64];
    const context = canvas.getContext("2d")!;
    // CSS's own names of these colours: its green is a darker one.
    context.fillStyle = colour === "green" ? "lime" : colour;
    context.fillRect(0, 0, 64, 64);
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, type));
    const bytes = new Uint8Array(await blob!.arrayBuffer());
    return btoa(String.fromCharCode(...bytes));
  }, { type, colour });
  return Uint8Array.fromBase64(base64);
}

/** Pasted, dropped and chosen pictures are seen, kept with their question, and never in the way of a model that is blind. */
export async function showsPictures({ url, browser }: Place): Promise<void> {
  await visit(url, async ({ page, said }) => {
    const attached = page.locator(".attached");
    const fresh = () => page.getByRole("button", { name: "New", exact: true }).click();
    await chooseModel(page, "scripted");
    await page.locator(".capabilities").waitFor({ state: "attached" });
    await pasteFile(page, "image/bmp", plain("red"));
    await page.getByText(/this model does not see pictures/).waitFor();
    await dropFile(
      page,
      "scan.pdf",
      "application/pdf",
      makeScannedPdf([rgbImage(1, 1, new Uint8Array(3))]),
    );
    await page.getByText(/If its pages were scanned: choose a model that sees pictures/).waitFor();
    await chooseModel(page, "eye");
    await page.locator(".capabilities").getByText("vision").waitFor();

    await pasteFile(page, "image/bmp", plain("red"));
    await attached.getByText("picture 1").waitFor();
    assert.deepEqual(await serious(page), []);
    assert.equal((await askPage(page, ASK)).trim(), "red");
    const picture = page.locator(".message.user img.picture");
    assert.ok(await picture.evaluate((one) => (one as HTMLImageElement).naturalWidth) > 0);
    assert.deepEqual(await serious(page), []);
    await page.reload();
    await picture.waitFor();
    // The model that it was held with is the one that goes on.
    await page.waitForFunction(
      () => document.querySelector<HTMLSelectElement>("#model")?.value === "eye:latest",
    );
    await page.getByRole("button", { name: "Regenerate" }).click();
    await page.locator(".message.assistant").getByText("2 of 2").waitFor();
    const last = page.locator(".message.assistant").last();
    await last.locator("footer").waitFor();
    assert.equal((await last.locator(".markdown").innerText()).trim(), "red");

    // Each kind that a browser has, WebP among them, which no runner reads.
    for (const [type, colour] of [["image/png", "blue"], ["image/webp", "green"]] as const) {
      await fresh();
      const bytes = await drawn(page, type, colour);
      assert.equal(
        new TextDecoder().decode(bytes.subarray(8, 12)) === "WEBP",
        type.endsWith("webp"),
      );
      await dropFile(page, "dropped", type, bytes);
      await attached.getByText("picture 1").waitFor();
      assert.equal((await askPage(page, ASK)).trim(), colour);
    }

    // A PDF that a scanner made has no text: its pages are pictures.
    await fresh();
    const red = new Uint8Array(16 * 16 * 3).map((_, at) => at % 3 === 0 ? 255 : 0);
    const scan = makeScannedPdf([rgbImage(16, 16, red)]);
    await dropFile(page, "scan.pdf", "application/pdf", scan);
    await attached.getByText("picture 1").waitFor();
    await page.getByText("scan.pdf: its page goes along as a picture").waitFor();
    assert.equal((await askPage(page, ASK)).trim(), "red");

    // What is no picture is refused before it is in a conversation, where each later question would carry it.
    await fresh();
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" onload="hit=1"><rect/></svg>`;
    for (
      const [type, bytes] of [
        ["image/svg+xml", new TextEncoder().encode(svg)],
        ["image/png", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 1, 2, 3])],
      ] as const
    ) {
      await dropFile(page, "broken", type, bytes);
      await page.getByText(/not a picture that this browser can read/).waitFor();
      await page.locator(".notice").getByRole("button", { name: "Close" }).click();
      assert.equal(await attached.count(), 0);
    }
    assert.equal(await page.evaluate("globalThis.hit"), undefined);

    // A model that is blind goes on with a conversation that has pictures, and both it and the person are told.
    await pasteFile(page, "image/bmp", plain("yellow"));
    assert.equal((await askPage(page, ASK)).trim(), "yellow");
    await chooseModel(page, "scripted");
    await page.waitForFunction(
      () => !document.querySelector(".capabilities")?.textContent?.includes("vision"),
    );
    assert.equal(await askPage(page, "And now?"), "Hello from the scripted model.");
    await page.getByText(/does not see the pictures of this conversation/).waitFor();
    // A scan is refused as a document, before its pages are asked for.
    assert.deepEqual(said.filter((line) => !/status of 400/.test(line)), []);
  }, { browser });
}
