/** The page in Debian's Chromium, over the whole path: proxy, gateway, sandbox, demo model. */
import assert from "node:assert/strict";
import { startServe } from "../support/serve.ts";
import { askPage, hasChromium, visit } from "./browser.ts";

const ignore = !hasChromium();

Deno.test({
  name: "page: a question is typed and answered, and nothing leaves the machine",
  ignore,
  async fn() {
    const served = await startServe();
    try {
      await visit(served.proxyUrl, async ({ page, asked, said }) => {
        const answer = await askPage(page, "What is network isolation?");
        assert.match(answer, /network/i);
        assert.match(await page.locator(".stats").last().innerText(), /tokens.*sealed, isolated/);
        assert.deepEqual(asked.filter((url) => !url.startsWith(served.proxyUrl + "/")), []);
        assert.ok(asked.length >= 6, asked.join("\n"));
        assert.deepEqual(said, []);
      });
    } finally {
      await served.stop();
    }
  },
});
