/// <reference lib="dom" />
/** The page over a history that was damaged on the disk, and over one whose key is gone: what is left is shown, and what is lost is said. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Apart } from "./apart.ts";
import { askPage, chooseModel, hasChromium, isFull, visit } from "./browser.ts";
import { serious } from "./look.ts";

const TITLES = ["The dipper", "The wren", "The shrike", "The ouzel"];

Deno.test({
  name:
    "page: what was damaged says so beside what was not; where the key is gone nothing is kept, and one can ask",
  ignore: !hasChromium() || !isFull("the page over a damaged history"),
  async fn(t) {
    await using place = await Apart.make();
    const gateway = await place.gateway();
    const folder = join(place.home, ".local/share/secllama/history");
    const started = async (body: (url: string) => Promise<void>) => {
      const proxy = await place.proxy(gateway.url);
      await body(proxy.url);
      proxy.kill("SIGTERM");
      await proxy.ended;
    };
    const ids = new Map<string, string>();
    await started(async (url) => {
      const conversations = TITLES.map((title) => ({
        title,
        messages: [
          { id: "1", parent: null, role: "user", content: `What does ${title} eat?` },
          { id: "2", parent: "1", role: "assistant", content: `${title} eats insects.` },
        ],
      }));
      const taken = await fetch(`${url}/secllama/history/import`, {
        method: "POST",
        headers: { "content-type": "application/octet-stream" },
        body: JSON.stringify({ format: "secllama-history", version: 1, conversations }),
      });
      assert.equal((await taken.json()).imported, TITLES.length);
      const { conversations: listed } = await (await fetch(`${url}/secllama/history`)).json();
      for (const { title, id } of listed) ids.set(title, id);
    });
    {
      using db = new DatabaseSync(join(folder, "history.db"));
      const flip = (table: string, column: string, where: string, title: string) => {
        const id = Uint8Array.fromHex(ids.get(title)!);
        const row = db.prepare(`SELECT ${column} AS sealed FROM ${table} WHERE ${where}`).get(id)!;
        const sealed = row["sealed"] as Uint8Array;
        sealed[20]! ^= 1;
        db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(sealed, id);
      };
      flip("conversations", "head", "id = ?", "The dipper");
      db.prepare("DELETE FROM messages WHERE conversation = ? AND position = 1")
        .run(Uint8Array.fromHex(ids.get("The ouzel")!));
      flip("messages", "sealed", "conversation = ? AND position = 2", "The wren");
    }
    await t.step(
      "a conversation, and a message of another one",
      () =>
        started((url) =>
          visit(url, async ({ page }) => {
            const list = page.getByRole("navigation");
            await list.getByRole("button", { name: "Damaged: cannot be opened" }).click();
            const notice = page.locator(".notice");
            await notice.getByText("this conversation of the history is damaged").waitFor();
            await notice.getByText(/put the history back from a backup, or erase it/).waitFor();
            await notice.getByRole("button", { name: "Close" }).click();
            await list.getByRole("button", { name: "The wren" }).click();
            await page.locator(".message.user", { hasText: "The wren" }).waitFor();
            await page.getByText("This message was changed or cut on the disk").waitFor();
            assert.deepEqual(await serious(page), []);
            await list.getByRole("button", { name: "The shrike" }).click();
            await page.getByText("The shrike eats insects.").waitFor();
            // One goes on where a message was lost, and a search finds what is left.
            await chooseModel(page, "scripted");
            await list.getByRole("button", { name: "The wren" }).click();
            assert.match(await askPage(page, "And in winter?"), /Hello from/);
            await page.getByRole("searchbox").fill("eat");
            await page.getByText("3 found").waitFor();
          })
        ),
    );
    await Deno.rename(join(folder, "key.json"), join(place.home, "key.json"));
    await t.step("no key", () =>
      started((url) =>
        visit(url, async ({ page }) => {
          const list = page.getByRole("navigation");
          await list.getByText(/Nothing is kept: .*key/).waitFor();
          await page.locator(".badge", { hasText: "temporary" }).waitFor();
          assert.equal(await list.getByRole("button", { name: "The shrike" }).count(), 0);
          await chooseModel(page, "scripted");
          assert.match(await askPage(page, "Is anybody there?"), /Hello from/);
          assert.deepEqual(await serious(page), []);
        })
      ));
    await Deno.rename(join(place.home, "key.json"), join(folder, "key.json"));
    await t.step("the key is put back", () =>
      started((url) =>
        visit(url, async ({ page }) => {
          await page.getByRole("navigation").getByRole("button", { name: "The shrike" }).click();
          await page.getByText("The shrike eats insects.").waitFor();
          assert.equal(
            await page.getByRole("navigation").getByText("Is anybody there?").count(),
            0,
          );
        })
      ));
  },
});
