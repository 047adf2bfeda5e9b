/** `secllama version`: of SecLlama, of what it runs on, and with --json of every part that a compiled program carries. */
import { EXIT } from "../errors.ts";
import { carried } from "../bundle/carried.ts";
import { VERSION } from "../version.ts";
import { type Command, flag, JSON_OPTION } from "./command.ts";

/** What it calls itself: a build on a runtime that did not come from Deno's own host says so in its name. */
function fullVersion(base: "deno" | "named" | "testbase" | undefined): string {
  return base === undefined || base === "deno" ? VERSION : `${VERSION}+${base}`;
}

export const versionCommand: Command = {
  path: ["version"],
  summary: "Show the version of SecLlama and of what it runs on",
  options: JSON_OPTION,
  details:
    `A compiled program shows with --json its own SHA-256, the runtime it was built on, each part that it unpacks and
each package inside, with their digests. A version that ends in +testbase is for tests only; one that ends in +named was
built on a runtime that the builder named (DENORT_BIN).`,
  async run(context) {
    const { tui } = context;
    const inside = carried()?.list;
    const facts = {
      schema: 1,
      secllama: fullVersion(inside?.build.base.kind),
      sealed: "sealed/1",
      deno: Deno.version.deno,
      v8: Deno.version.v8,
      target: Deno.build.target,
      standalone: Deno.build.standalone,
    };
    if (!flag(context, "json")) {
      tui.out(`secllama ${facts.secllama} (${facts.sealed}, deno ${facts.deno}, ${facts.target})`);
    } else if (inside === undefined) tui.json(facts);
    else {
      const { programDigest } = await import("../bundle/digest.ts"); // node:crypto takes 20 ms to load
      tui.json({
        ...facts,
        program: { sha256: programDigest() },
        base: inside.build.base,
        llamaCpp: inside.build.llamaCpp,
        parts: inside.parts.map(({ name, sizeBytes, sha256 }) => ({ name, sizeBytes, sha256 })),
        packages: inside.build.packages,
      });
    }
    return EXIT.ok;
  },
};
