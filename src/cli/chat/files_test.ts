/** Files that a user names for `run`. */
import assert from "node:assert/strict";
import { SecLlamaError } from "../../errors.ts";
import { attach, imagesOf, textFile } from "./files.ts";

Deno.test("a web address is no file, and nothing is fetched: it says so", async () => {
  const note = () => {};
  const address = "https://example.org/x.png";
  const takers: (() => Promise<unknown>)[] = [
    () => attach(address, note),
    () => imagesOf(address, note),
    () => textFile(address),
  ];
  for (const take of takers) {
    await assert.rejects(take, (error) => {
      assert.ok(error instanceof SecLlamaError);
      assert.match(error.message, /no web address: nothing is fetched/);
      assert.match(error.hint!, /download it first/);
      return true;
    });
  }
});
