import assert from "node:assert/strict";
import { publishOnChange } from "./fleet_publish.ts";

Deno.test("fleet publish --watch: what changes while the files are written is written the next time", async () => {
  let revoked = false;
  const written: boolean[] = [];
  let turns = 0;
  await publishOnChange({
    look: () => Promise.resolve(String(revoked)),
    write() {
      written.push(revoked);
      revoked = true; // right after this one read the clients
      return Promise.resolve();
    },
    everyMs: 3_600_000,
    goOn: () => Promise.resolve(++turns <= 4),
  });
  assert.deepEqual(written, [false, true]);
});
