/** The corpus: a template in the style of each family, written for these tests. */
import { ChatTemplate } from "../../src/templates/mod.ts";

const FOLDER = new URL("corpus/", import.meta.url);

export interface Member {
  readonly name: string;
  readonly template: ChatTemplate;
}

/** All of them, by name. */
export function corpus(): Member[] {
  return [...Deno.readDirSync(FOLDER)].map(({ name }) => name).sort().map((file) => ({
    name: file.replace(/\.jinja$/, ""),
    template: new ChatTemplate(Deno.readTextFileSync(new URL(file, FOLDER))),
  }));
}
