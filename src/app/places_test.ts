/** What lies in a data folder, and what was put elsewhere, is known by its name to who takes it away; what a backup has is among it. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";
import { isContent } from "../backup/contents.ts";
import { withFolder } from "../keys/testing.ts";
import { launchAgents, userUnits } from "../service/units.ts";
import { elsewhere, isOurs } from "./places.ts";

const SOURCE = fileURLToPath(new URL("../", import.meta.url));
/** File names in the source that are of no data folder itself; each with whose they are. */
const ELSEWHERE: { readonly [name: string]: string } = {
  "key.json": "the history's folder, and an attacker's wish",
  "history.db": "the history's folder",
  "history.lock": "the history's folder",
  "providers.json": "a folder made for an agent",
  "settings.json": "a folder made for an agent",
};

async function sources(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) found.push(...await sources(path));
    else if (/\.ts$/.test(name) && !/(?:_test|testing\w*)\.ts$/.test(name)) found.push(path);
  }
  return found;
}

Deno.test("places: every file that the source names and a data folder may have is known to uninstall", async () => {
  const named = new Set<string>();
  for (const path of await sources(SOURCE)) {
    const text = await Deno.readTextFile(path);
    for (const [, name] of text.matchAll(/"([a-z][\w-]*\.(?:json|lock|db|toml))"/g)) {
      named.add(name!);
    }
  }
  assert.ok(named.size > 15, `found: ${[...named]}`);
  const unknown = [...named].filter((name) => !isOurs(name) && !(name in ELSEWHERE));
  assert.deepEqual(unknown, [], "add it to places.ts, or say here whose it is");
  for (const name of Object.keys(ELSEWHERE)) assert.ok(named.has(name), `${name} is named no more`);
  const kept = [...named].filter(isContent);
  assert.ok(kept.includes("keyset.json"));
  for (const name of kept) assert.ok(isOurs(name), `a backup has ${name}`);
});

Deno.test("places: what install.md puts into a home, and the units of a user's service, are found when all else goes", () =>
  withFolder(async (home) => {
    const page = await Deno.readTextFile(join(SOURCE, "../docs/install.md"));
    const named = [...page.matchAll(/^secllama .* > ~\/(\S+)/gm)].map(([, path]) => path!);
    assert.ok(named.length > 3, `found: ${named}`);
    const units = [true, false].flatMap((proxy) => userUnits("/secllama", { proxy }));
    const made = [
      ...named,
      ...units.map(({ name }) => `.config/systemd/user/${name}`),
      ...launchAgents("/secllama").map(({ name }) => `Library/LaunchAgents/${name}`),
    ].map((path) => join(home, path));
    for (const path of made) {
      await Deno.mkdir(dirname(path), { recursive: true });
      await Deno.writeTextFile(path, "");
    }
    const found = (await elsewhere({ HOME: home })).map(({ where }) => where);
    assert.deepEqual(found.filter((path) => path.startsWith(home)).sort(), made.sort());
  }));
