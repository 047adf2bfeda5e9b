/** Finds the parts inside this very program. Imports nothing of node's: `secllama version` is to be there at once. */
import type { Carried, PartList } from "./part_list.ts";

/** Beside the bundle in the compiled program's own file system (scripts/compile.ts puts them there). */
const LIST = new URL("./parts.json", import.meta.url);
const PAYLOAD = new URL("./parts.zst", import.meta.url);

let found: Carried | undefined;

/** What this program carries; undefined from source, where every part is a file of its own already. */
export function carried(): Carried | undefined {
  if (!Deno.build.standalone) return undefined;
  if (found) return found;
  const text = Deno.readTextFileSync(LIST);
  return found = {
    list: JSON.parse(text) as PartList,
    text,
    payload: () => Deno.readFileSync(PAYLOAD),
  };
}
