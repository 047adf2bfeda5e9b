/** Finds the parts inside this very program. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Carried, PartList } from "./part_list.ts";

/** Beside the bundle in the compiled program's own file system (scripts/compile.ts puts them there). */
const LIST = new URL("./parts.json", import.meta.url);
const PAYLOAD = new URL("./parts.zst", import.meta.url);

let found: Carried | undefined;

/** What this program carries; undefined from source, where every part is a file of its own already. */
export function carried(): Carried | undefined {
  if (!Deno.build.standalone) return undefined;
  if (found) return found;
  const text = readFileSync(LIST);
  return found = {
    list: JSON.parse(new TextDecoder().decode(text)) as PartList,
    id: createHash("sha256").update(text).digest("hex"),
    payload: () => readFileSync(PAYLOAD),
  };
}
