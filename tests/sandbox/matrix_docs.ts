/** docs/sandbox-matrix.md from the results of the attack list. */
import { ATTACKS } from "../../src/escape/attacks/list.ts";
import { CHANNEL_ATTACKS } from "../../src/escape/channels/list.ts";
import type { Cell, MatrixResult } from "./matrix_run.ts";

function cell(value: Cell | undefined): string {
  if (!value) return "";
  if (value.verdict === "out") return "**out**";
  if (value.verdict === "killed") return "killed";
  if (value.verdict === "not run") return "not run";
  // The error alone: paths and process ids differ from run to run.
  const error = /: (E[A-Z]+|NotCapable|refused|SIG[A-Z]+)$/.exec(value.detail)?.[1];
  return error ? `– ${error}` : "–";
}

/** The whole document. */
export function renderMatrix(results: readonly MatrixResult[]): string {
  const parts = [
    "# What the Linux sandbox stops\n",
    "Written by `SECLLAMA_UPDATE_DOCS=1 deno test -A tests/sandbox/matrix_test.ts`; do not edit. Each attack is made by native",
    "code in the runner's place, first without a sandbox, where it must work, then with all layers and with layers left",
    "out. **out**: it worked. –: it was refused, with the error it got. killed: the kernel ended the process. Hits on",
    "listeners and changes to files are counted on the host. Inference works before and after in every run.\n",
    "An attack that is refused without a sandbox needs rights that this user or kernel does not give at all. The",
    "columns after “all layers” each leave one out; “no seccomp” leaves out stage 2 as well. Strict mode refuses to",
    "serve without seccomp, and without both Landlock and a private root.\n",
  ];
  for (const { uid, configurations } of results) {
    parts.push(
      `## As ${uid === 0 ? "root (each runner becomes a user of its own)" : "an ordinary user"}\n`,
    );
    parts.push(`| attack | ${configurations.map((c) => c.name).join(" | ")} |`);
    parts.push(`|---|${configurations.map(() => "---|").join("")}`);
    for (const name of [...ATTACKS.map((attack) => attack.name), ...CHANNEL_ATTACKS]) {
      parts.push(`| ${name} | ${configurations.map((c) => cell(c.cells[name])).join(" | ")} |`);
    }
    parts.push("");
  }
  return parts.join("\n");
}
