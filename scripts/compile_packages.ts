/** The npm packages whose code is in the bundles, for `secllama version --json`. */
import { join } from "node:path";
import type { BuildFacts } from "../src/bundle/part_list.ts";

/**
 * Every package that deno.json names and those they need, with the integrity that deno.lock pins. Packages of which nothing
 * is bundled (llama.cpp's JavaScript among them) are left out: what of them is carried is a part with a digest of its own.
 */
export async function carriedPackages(root: string): Promise<BuildFacts["packages"]> {
  const lock = JSON.parse(await Deno.readTextFile(join(root, "deno.lock"))) as {
    npm: { [id: string]: { integrity: string } };
  };
  const app = [...Deno.readDirSync(join(root, "build/stage/app"))]
    .filter(({ name }) => name.endsWith(".js")).map(({ name }) => `build/stage/app/${name}`);
  const bundles = await Promise.all(
    [...app, "build/runner.js"].map((path) => Deno.readTextFile(join(root, path))),
  );
  // The bundler writes the path of each module before its code: `// node_modules/.deno/hono@4.13.19/…`
  const ids = new Set<string>();
  for (const text of bundles) {
    for (const [, id] of text.matchAll(/^\/\/ node_modules\/\.deno\/([^/]+)\/node_modules\//gm)) {
      ids.add(id!.replace("+", "/").replace(/_.*$/, ""));
    }
  }
  return [...ids].sort().map((id) => {
    const at = id.lastIndexOf("@");
    const entry = lock.npm[id] ??
      Object.entries(lock.npm).find(([k]) => k.startsWith(id + "_"))?.[1];
    if (!entry) throw new Error(`deno.lock does not hold ${id}`);
    return { name: id.slice(0, at), version: id.slice(at + 1), integrity: entry.integrity };
  });
}
