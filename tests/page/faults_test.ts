/// <reference lib="dom" />
/**
 * The page while what is behind it fails, or changes: a gateway that is killed in the middle of an answer and comes back, a key that is
 * rotated, a proxy that sleeps, a model that was removed or has no chat template, no model at all.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Apart } from "./apart.ts";
import { askPage, chooseModel, hasChromium, isFull, type, visit } from "./browser.ts";

/** The last answer, once it is not being made any more. */
async function ended(page: Page, n: number) {
  const answer = page.locator(".message.assistant").nth(n);
  await answer.locator("footer").waitFor();
  return answer;
}

Deno.test({
  name:
    "page: what is behind it ends in the middle of an answer, and comes back; keys and models change",
  ignore: !hasChromium() || !isFull("the page while what is behind it fails"),
  async fn(t) {
    // What follows a failed step would wait in vain.
    const step = async (name: string, fn: () => Promise<void>) =>
      assert.ok(await t.step(name, fn), name);
    await using place = await Apart.make();
    let gateway = await place.gateway();
    const { port } = new URL(gateway.url);
    const proxy = await place.proxy(gateway.url);
    await visit(proxy.url, async ({ page, asked }) => {
      await chooseModel(page, "scripted");
      assert.equal(await page.locator(".badge").innerText(), "kept, sealed");
      await step("a gateway that is killed in the middle of an answer", async () => {
        await type(page, "USE:endless");
        await page.getByText(/Forever round/).waitFor();
        gateway.kill("SIGKILL");
        await gateway.ended;
        const answer = await ended(page, 0);
        await answer.getByText(/broke off/).first().waitFor();
        const text = await answer.locator(".markdown").innerText();
        assert.ok(text.startsWith("Forever round"));
        // It says so a day later too.
        await page.reload();
        const again = await ended(page, 0);
        await again.getByText("broke off: it is not whole").waitFor();
        assert.equal(await again.locator(".markdown").innerText(), text);
        // Nobody is there to ask: that is said, with what to do, and the question is not lost.
        await type(page, "USE:text anybody?");
        await page.locator(".notice").getByText(/cannot reach the gateway/).waitFor();
        await page.locator(".notice").getByText(/check that it runs/).waitFor();
        assert.equal(await page.locator("#question").inputValue(), "USE:text anybody?");
        gateway = await place.gateway(port);
        // With the model that the conversation was held with, which is not the first of the list.
        await page.locator("#question").press("Enter");
        await page.locator(".message.assistant").nth(1).getByText("Hello from the").waitFor();
        assert.equal(await page.locator("#model").inputValue(), "scripted:latest");
      });
      await step(
        "a key that is rotated while the page is open, and in the middle of an answer",
        async () => {
          const before = await place.command(["key", "status"]);
          await type(page, "USE:endless again");
          await page.locator(".message.assistant").last().getByText(/Forever round/).waitFor();
          await place.command(["key", "rotate"]);
          assert.notEqual(await place.command(["key", "status"]), before);
          await page.locator(".message .stop").click();
          await page.locator(".message.assistant").last().getByText("stopped").waitFor();
          assert.equal(
            await askPage(page, "USE:text after the rotation"),
            "Hello from the scripted model.",
          );
          await page.reload();
          await page.locator(".message.user", { hasText: "after the rotation" }).waitFor();
          await page.getByRole("searchbox").fill("rotation");
          await page.getByText("1 found").waitFor();
          await page.getByRole("searchbox").fill("");
        },
      );
      await step(
        "a proxy that sleeps, as a laptop does, in the middle of an answer",
        async () => {
          await type(page, "USE:endless asleep");
          await page.locator(".message.assistant").last().getByText(/Forever round/).waitFor();
          proxy.kill("SIGSTOP");
          await page.locator(".working", { hasText: /, [3-9] s/ }).waitFor();
          proxy.kill("SIGCONT");
          const tokens = () => page.locator(".working").innerText();
          const before = parseInt(await tokens());
          await page.waitForFunction(
            (n) => parseInt(document.querySelector(".message .working")?.textContent ?? "0") > n,
            before,
          );
          await page.locator(".message .stop").click();
          await page.locator(".message.assistant").last().getByText("stopped").waitFor();
        },
      );
      await step("a model that makes no chat", async () => {
        await page.getByRole("button", { name: "New", exact: true }).click();
        await chooseModel(page, "bare");
        await type(page, "Can you chat?");
        const answer = await ended(page, 0);
        // It is given the bare words, as Ollama does, and this one ends at once: that is said, and no empty place is left.
        await answer.getByText("The model said nothing.").waitFor();
        assert.match(await answer.locator(".stats").innerText(), /sealed, isolated/);
      });
      await step("a model that was removed meanwhile", async () => {
        await place.command(["import", `${place.home}/mine.gguf`, "--name", "mine"], false);
        await page.reload();
        await page.locator(".message.user", { hasText: "Can you chat?" }).waitFor();
        await page.getByRole("button", { name: "New", exact: true }).click();
        await chooseModel(page, "mine");
        assert.equal(await askPage(page, "Hello?"), "Hello from the scripted model.");
        await place.command(["rm", "mine"], false);
        await type(page, "Still there?");
        const answer = await ended(page, 1);
        assert.match(await answer.locator(".error").innerText(), /mine.* not found/);
        // The list has it no more, and with another one the same conversation goes on.
        await page.waitForFunction(
          () => !document.querySelector("#model")?.textContent?.includes("mine"),
        );
        await chooseModel(page, "scripted");
        assert.equal(await askPage(page, "And now?"), "Hello from the scripted model.");
        // Also after a reload: what follows an answer that failed is kept.
        await page.reload();
        await page.locator(".message.user", { hasText: "And now?" }).waitFor();
      });
      assert.deepEqual(asked.filter((url) => !url.startsWith(`${proxy.url}/`)), []);
    });
    await step("no model at all", async () => {
      // A fake: every installation brings a model along.
      let empty = true;
      await visit(proxy.url, async ({ page }) => {
        await type(page, "Anybody?");
        await page.getByText("There is no model to ask").waitFor();
        await page.getByText(/secllama pull/).waitFor();
        assert.equal(await page.locator("#question").inputValue(), "Anybody?");
        empty = false;
        await page.locator("#question").press("Enter");
        await ended(page, 0);
      }, {
        before: async (context) => {
          await context.route(
            /\/api\/tags$/,
            (route) => empty ? route.fulfill({ json: { models: [] } }) : route.continue(),
          );
        },
      });
    });
  },
});
