/// <reference lib="dom" />
/** The page in Chromium where every program shows a token, and over a history that another proxy writes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli, startServe } from "../support/serve.ts";
import { askPage, hasChromium, isFull, visit } from "./browser.ts";

const newKey = () => `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;

Deno.test({
  name:
    "page: where tokens are asked for, the browser that secllama ui opened is let in, and no other; two proxies over one history: the second reads, and says so",
  ignore: !hasChromium() ||
    !isFull("the page where tokens are asked for, and over another's history"),
  async fn(t) {
    const key = newKey();
    const first = await startServe({
      args: [],
      env: { SECLLAMA_KEY: key, SECLLAMA_REQUIRE_TOKEN: "true" },
    });
    const data = join(first.home, ".local/share/secllama");
    const ui = async (proxyUrl: string) => {
      const said = await cli(["ui", "--no-open", "--proxy-port", new URL(proxyUrl).port], {
        env: { HOME: first.home, PATH: "/usr/bin:/bin", SECLLAMA_DATA_DIR: data },
      });
      assert.equal(said.code, 0, said.stderr);
      return said.stdout.trim();
    };
    try {
      const address = await ui(first.proxyUrl);
      assert.match(address, /#launch=[\w-]{43}$/);
      await t.step("tokens", async () => {
        // Who was not let in gets the program and nothing else.
        await visit(first.proxyUrl, async ({ page }) => {
          await page.getByText(/an API token is needed|not been let in/).first().waitFor();
          // The address is put into the tab that was refused: no page is loaded by that.
          await page.goto(address);
          await page.locator("#model option").first().waitFor({ state: "attached" });
          await page.getByText("kept, sealed").waitFor();
          assert.ok(!page.url().includes("launch"), "the secret left the address");
        });
        assert.equal((await fetch(`${first.proxyUrl}/secllama/history`)).status, 401);
        assert.equal((await fetch(`${first.proxyUrl}/api/tags`)).status, 401);
        await visit(address, async ({ page, context, asked }) => {
          await askPage(page, "What is network isolation?");
          assert.equal(await page.locator(".badge").innerText(), "kept, sealed");
          assert.ok(!page.url().includes("launch"), "the secret left the address");
          const [cookie] = await context.cookies();
          assert.deepEqual([cookie!.httpOnly, cookie!.sameSite], [true, "Strict"]);
          assert.ok(!address.includes(cookie!.value));
          // The cookie is for our own page: not for one of another origin.
          const stranger = await fetch(`${first.proxyUrl}/api/tags`, {
            headers: {
              cookie: `${cookie!.name}=${cookie!.value}`,
              origin: "http://127.0.0.1:9",
            },
          });
          assert.ok([401, 403].includes(stranger.status), String(stranger.status));
          await stranger.body?.cancel();
          assert.deepEqual(asked.filter((url) => !url.startsWith(first.proxyUrl + "/")), []);
          await page.reload();
          await page.locator(".message.user", { hasText: "isolation" }).waitFor();
        });
      });
      await t.step("a second proxy", async () => {
        const second = await startServe({
          args: [],
          env: { SECLLAMA_KEY: key, SECLLAMA_DATA_DIR: data },
        });
        try {
          await visit(second.proxyUrl, async ({ page }) => {
            const entry = page.getByRole("navigation").getByRole("button", { name: /isolation/ });
            await entry.click();
            await page.locator(".message.user", { hasText: "isolation" }).waitFor();
            await page.getByText(/another (?:process|SecLlama|proxy)/i).first().waitFor();
          });
          const { status, ...refused } = await fetch(`${second.proxyUrl}/secllama/history`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: "{}",
          }).then(async (answer) => ({ status: answer.status, ...await answer.json() }));
          assert.deepEqual([status, refused.code], [503, "history-busy"]);
        } finally {
          await second.stop();
        }
      });
    } finally {
      await first.stop();
    }
  },
});
