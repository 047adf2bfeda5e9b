/** `secllama audit verify`: this host's log, an export, or the proof of a line. */
import {
  type AuditDatabase,
  AuditNote,
  AuditSigner,
  checkProof,
  readExport,
  type Verdict,
  verifyLog,
} from "../../audit/mod.ts";
import { stateDirectory } from "../../config/paths.ts";
import { EXIT, SecLlamaError } from "../../errors.ts";
import { HINTS } from "../../hints.ts";
import { type KeySource, openKeySource } from "../../keys/mod.ts";
import { hardenSelf } from "../../sandbox/mod.ts";
import { type Command, type CommandContext, flag, stringOption } from "../command.ts";
import { OPTIONS, report } from "../key_common.ts";
import { keySourceOptions } from "../key_options.ts";
import { plural } from "../../plural.ts";
import { Progress } from "../progress.ts";
import { readSettings } from "../settings.ts";
import { openForReading } from "./open.ts";
import { readFileUpTo, readPublicKey } from "./read.ts";

/** One line, and some sixty hashes. */
const MAX_PROOF_BYTES = 4 * 2 ** 20;

export const verifyCommand: Command = {
  path: ["audit", "verify"],
  example: "secllama audit verify audit.jsonl --key audit.pem",
  summary: "Check that the audit log, an export or a proof is whole, and say which line is not",
  arguments: "[FILE]",
  maxPositionals: 1,
  options: {
    ...OPTIONS,
    key: { type: "string", value: "FILE", help: "the public key to trust: of secllama audit key" },
    "public-only": {
      type: "boolean",
      help: "this host's log as an auditor sees it, without its keys",
    },
  },
  details:
    `Without FILE: this host's log, with the host's own keys, which find each line that somebody else wrote, and with
what this machine has noted of the log, which finds one that was put back from earlier.
With FILE: an export or a proof; nothing of this host is read.
Exit codes: 0 it is whole, 9 it is not, 2 usage, 5 it cannot be read.`,
  async run(context) {
    const path = context.positionals[0];
    const key = await readPublicKey(stringOption(context, "key"));
    if (path === undefined) return await ownLog(context, key);
    const bytes = await readFileUpTo(path);
    const proof = proofIn(bytes);
    if (proof === undefined) return tell(context, path, verifyLog(readExport(bytes), { key }));
    if (key === undefined) {
      throw new SecLlamaError("usage", "a proof needs the public key: --key FILE", {
        hint: HINTS.auditKey,
      });
    }
    const checked = checkProof(proof, key);
    report(context, { proof: checked }, [
      checked.ok ? `proven: ${proof.line}` : `NOT PROVEN: ${checked.why}`,
    ]);
    return checked.ok ? EXIT.ok : EXIT.refused;
  },
};

async function ownLog(
  context: CommandContext,
  key: Awaited<ReturnType<typeof readPublicKey>>,
): Promise<number> {
  using db = await openForReading(context);
  if (flag(context, "public-only")) return tell(context, db.path, verifyLog(db, { key }));
  hardenSelf(); // before a key is in memory
  const { dataDir } = await readSettings(context);
  using keys = await openKeySource(keySourceOptions(context, dataDir));
  const signers = await signersOf(db, keys);
  const progress = new Progress(context.tui);
  using active = await AuditSigner.of(keys);
  try {
    const stateDir = stateDirectory(context.env);
    const note = stateDir === undefined ? undefined : new AuditNote(stateDir, keys.hid);
    const verdict = verifyLog(db, {
      // Where the first key was destroyed the active one vouches for what it signed, and so for all before it.
      key: key ?? (signers.get(db.epochs()[0]?.kid ?? "") ?? active).signing.publicKey,
      signers,
      seen: note?.read(),
      unnoted: note?.failure,
      onProgress: (lines) => progress.say(`checking, ${plural(lines, "line")} so far`),
    });
    progress.end();
    return tell(context, db.path, verdict);
  } finally {
    progress.end();
    for (const signer of signers.values()) signer[Symbol.dispose]();
  }
}

async function signersOf(db: AuditDatabase, keys: KeySource): Promise<Map<string, AuditSigner>> {
  const signers = new Map<string, AuditSigner>();
  for (const { kid } of db.epochs()) {
    // One that was destroyed authenticates nothing any more: the verdict says so.
    const signer = await AuditSigner.of(keys, kid).catch(() => undefined);
    if (signer !== undefined) signers.set(kid, signer);
  }
  return signers;
}

function tell(context: CommandContext, where: string, verdict: Verdict): number {
  const { problems, unlisted, notes, lines, proven, heads, forgotten, keys } = verdict;
  const whole = problems.length === 0;
  report(context, { whole, ...verdict }, [
    whole
      ? `whole: ${plural(lines, "line")} in ${where}, ${proven} of them under ${
        plural(heads, "signed head")
      }`
      : `NOT WHOLE: ${where}`,
    ...problems.map(({ from, to, what }) =>
      from === to ? `  line ${from}: ${what}` : `  lines ${from} to ${to}: ${what}`
    ),
    ...(unlisted > 0 ? [`  and ${unlisted} more`] : []),
    ...(whole ? [`  root ${verdict.root}, signed by ${keys.join(", ")}`] : []),
    ...(forgotten > 0
      ? [`  the texts of ${plural(forgotten, "line")} were taken away; their hashes hold`]
      : []),
    ...notes.map((note) => `  note: ${note}`),
  ]);
  return whole ? EXIT.ok : EXIT.refused;
}

function proofIn(bytes: Uint8Array): { line?: unknown } | undefined {
  if (bytes.length > MAX_PROOF_BYTES) return undefined;
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes));
    return value?.secllama_proof === 1 ? value : undefined;
  } catch {
    return undefined; // lines of JSON
  }
}
