/** The page in Debian's Chromium, over the whole path: proxy, gateway, sandbox, a real model. */
import assert from "node:assert/strict";
import { canSee } from "../../runner/engine/testing.ts";
import { startServe } from "../support/serve.ts";
import { askPage, hasChromium, isFull, visit, withPlace } from "./browser.ts";
import { helpIsTrue, keepsOrder, keepsPrompts, looksIntoFolders, printsAll } from "./desk.ts";
import {
  forgetsTemporaries,
  heedsSettings,
  refusesLarge,
  refusesManyPictures,
  showsAllThatIsKept,
  takesPastesAndAddresses,
} from "./kept.ts";
import { fitsInto, looksGood, SMALL, worksByKeyboard } from "./look.ts";
import { showsPictures } from "./pictures.ts";
import { outlivesItsTab, survivesReload } from "./reload.ts";
import { survivesOtherTabs, survivesReloads } from "./tabs.ts";
import {
  asksOfPdf,
  asksOfText,
  drawsFewOfMany,
  erasesForGood,
  keepsConversations,
  provesItself,
  takesFolder,
} from "./tour.ts";

// The newcomer's tour (newcomer_test.ts) is what a plain run has of this.
const ignore = !hasChromium() ||
  !isFull("the page's visits one by one, beside the newcomer's tour");

Deno.test({
  name: "page: one visit after the other, over one serve and one browser",
  ignore,
  fn: (t) =>
    withPlace(async (place) => {
      const step = (name: string, fn: () => Promise<void>) => t.step(name, fn);
      const seeing = (name: string, fn: () => Promise<void>) =>
        t.step({ name, ignore: !canSee(), fn });
      await step("by keyboard alone", () => worksByKeyboard(place));
      await step("dark, and axe-core finds nothing serious", () => looksGood(place, "dark"));
      await step("at 200 %", () => fitsInto(place, SMALL[0]));
      await step("a reload in the middle of an answer", () => survivesReload(place, false));
      await step("what is kept", () => keepsConversations(place));
      await step("a text that is dropped on it", () => asksOfText(place));
      await step("a PDF, cited with its page; erase; import", () => asksOfPdf(place));
      await step("the proof: a receipt, plots, the doctor", () => provesItself(place));
      await step("several tabs, of which one ends it", () => survivesOtherTabs(place));
      await step("reloads at any moment of an answer", () => survivesReloads(place, 12));
      await seeing("pictures", () => showsPictures(place));
      await step("folders, pins, copies", () => keepsOrder(place));
      await step("a folder of old ones", () => looksIntoFolders(place));
      await step("a library of prompts", () => keepsPrompts(place));
      await step("what is printed", () => printsAll(place));
      await step("each key of the help", () => helpIsTrue(place));
      await step("a folder", () => takesFolder(place));
      await step("an erased conversation is nowhere", () => erasesForGood(place));
      await step("10,000 messages", () => drawsFewOfMany(place));
      await step("thoughts, calls, code, saved and read back", () => showsAllThatIsKept(place));
      await step("settings", () => heedsSettings(place));
      await step("temporary: nowhere", () => forgetsTemporaries(place));
      await step("what is too large", () => refusesLarge(place));
      await seeing("too many pictures", () => refusesManyPictures(place));
      await step("a long paste; another address", () => takesPastesAndAddresses(place));
      await step("light", () => looksGood(place, "light"));
      await step("on a telephone", () => fitsInto(place, SMALL[1]));
      await step("a reload, temporary", () => survivesReload(place, true));
      await step("an answer whose tab was closed", () => outlivesItsTab(place));
    }),
});

Deno.test({
  name:
    "page: a newcomer asks, and nothing leaves the machine or is kept where no key outlives serve",
  ignore,
  async fn() {
    const served = await startServe();
    try {
      await visit(served.proxyUrl, async ({ page, asked, said }) => {
        const answer = await askPage(page, "What is network isolation?");
        assert.match(answer, /network/i);
        assert.match(await page.locator(".stats").last().innerText(), /tokens.*sealed, isolated/);
        assert.equal(await page.locator(".badge").innerText(), "temporary");
        await page.getByRole("button", { name: "Proof" }).click();
        const proof = page.getByRole("dialog", { name: "Proof" });
        await proof.getByText(
          /Isolation strict: \d+ layers enforced, \d+ on the runner's word; its own attack held/,
        )
          .waitFor();
        assert.match(await proof.innerText(), /ciphertext \(sealed\/1\)/);
        assert.match(await proof.innerText(), /less than a minute old|minutes? old/);
        await page.keyboard.press("Escape");
        await proof.waitFor({ state: "detached" });
        assert.deepEqual(asked.filter((url) => !url.startsWith(served.proxyUrl + "/")), []);
        assert.ok(asked.length >= 6, asked.join("\n"));
        // That this key keeps no history is an answer with an error status.
        assert.deepEqual(said.filter((line) => !/status of (403|503)/.test(line)), []);
      });
    } finally {
      await served.stop();
    }
  },
});
