/** `secllama version`. */
import { EXIT } from "../errors.ts";
import { VERSION } from "../version.ts";
import { type Command, flag, JSON_OPTION } from "./command.ts";

export const versionCommand: Command = {
  path: ["version"],
  summary: "Show the version of SecLlama and of what it runs on",
  options: JSON_OPTION,
  run(context) {
    const { tui } = context;
    const facts = {
      schema: 1,
      secllama: VERSION,
      sealed: "sealed/1",
      deno: Deno.version.deno,
      v8: Deno.version.v8,
      target: Deno.build.target,
      standalone: Deno.build.standalone,
    };
    if (flag(context, "json")) tui.json(facts);
    else {tui.out(
        `secllama ${facts.secllama} (${facts.sealed}, deno ${facts.deno}, ${facts.target})`,
      );}
    return Promise.resolve(EXIT.ok);
  },
};
