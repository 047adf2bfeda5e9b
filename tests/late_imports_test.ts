/** Packages that few commands need are loaded by these alone: every start would pay for them. */
import assert from "node:assert/strict";
import { ROOT } from "./support/serve.ts";

/** Package → the modules that may import it, and each other, at their head. */
const LATE: Readonly<Record<string, readonly string[]>> = {
  "@nats-io/": ["nats_link", "nats_store", "nkey"].map((name) => `src/fleet/${name}.ts`),
};

/** Imports at the head of a module that are more than types. */
const HEAD = /^(?:import|export) (?!type\b)(?:[^"';]*? from )?"([^"]+)";/gms;

function sources(folder: string): string[] {
  return [...Deno.readDirSync(`${ROOT}${folder}`)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return sources(path);
    return /(?<!_test)\.tsx?$/.test(name) && !/(^|_)testing(_\w+)?\.ts$/.test(name) ? [path] : [];
  });
}

Deno.test("imports: what few commands need is imported where it is used", () => {
  for (const [pack, modules] of Object.entries(LATE)) {
    const found = new Set<string>();
    for (const path of sources("src")) {
      const text = Deno.readTextFileSync(ROOT + path);
      for (const [, what] of text.matchAll(HEAD)) {
        const inside = new URL(what!, `file:///${path}`).pathname.slice(1);
        const isLate = what!.startsWith(pack) ||
          (what!.startsWith(".") && modules.includes(inside));
        if (!isLate) continue;
        found.add(path);
        assert.ok(modules.includes(path), `${path} imports ${what} at its head: await import(…)`);
      }
    }
    assert.deepEqual([...found].sort(), [...modules].sort(), "or the list above is old");
  }
});
