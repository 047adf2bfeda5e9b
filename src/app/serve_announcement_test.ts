/** Where serves are announced: what a crash left is not told, and is gone when the next one begins. */
import assert from "node:assert/strict";
import { withFolder } from "../keys/testing.ts";
import { announcedServes, announceServe } from "./serve_announcement.ts";
import { notOn } from "../../tests/support/systems.ts";

const AT = { gateway: "http://127.0.0.1:1", proxyPort: 2 };
const files = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

Deno.test("announcement: of this process while it serves, whole, private, and gone afterwards", () =>
  withFolder(async (folder) => {
    assert.deepEqual(await announcedServes(`${folder}/none`), []);
    const remove = await announceServe(folder, AT);
    const name = `serve-${Deno.pid}.json`;
    assert.deepEqual(await files(folder), [name], "no temporary file is left");
    assert.equal((await Deno.stat(`${folder}/${name}`)).mode! & 0o777, 0o600);
    const [found, ...more] = await announcedServes(folder);
    assert.deepEqual([found!.pid, found!.gateway, found!.proxyPort, more], [
      Deno.pid,
      AT.gateway,
      AT.proxyPort,
      [],
    ]);
    await remove();
    assert.deepEqual(await files(folder), []);
  }));

Deno.test({
  name: "announcement: what a crash left behind is not told, and the next serve removes it",
  ignore: notOn("linux"), // elsewhere the system does not say which process it was
  fn: () =>
    withFolder(async (folder) => {
      const ended = new Deno.Command("/bin/true").spawn();
      await ended.status;
      const gone = { pid: ended.pid, began: "1", ...AT };
      // A pid that another process has by now: the same number, and another beginning.
      const reused = { pid: Deno.ppid, began: "1", ...AT };
      await Deno.writeTextFile(`${folder}/serve-${gone.pid}.json`, JSON.stringify(gone));
      await Deno.writeTextFile(`${folder}/serve-${reused.pid}.json`, JSON.stringify(reused));
      await Deno.writeTextFile(`${folder}/serve-7.json`, '{"pid": 7, "be');
      await Deno.writeTextFile(`${folder}/serve-notes.json`, "{}");
      assert.deepEqual(await announcedServes(folder), []);
      assert.equal((await files(folder)).length, 4, "who only reads removes nothing");
      await announceServe(folder, AT);
      assert.deepEqual(await files(folder), [`serve-${Deno.pid}.json`, "serve-notes.json"].sort());
    }),
});
