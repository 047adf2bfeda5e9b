/** `secllama audit …`: who did what on this host, and that the record is whole. */
import { toPem } from "../../pem.ts";
import {
  AuditDatabase,
  AuditLog,
  AuditSigner,
  exportLines,
  forgetBefore,
  olderThan,
  proveLine,
} from "../../audit/mod.ts";
import { stateDirectory } from "../../config/paths.ts";
import { EXIT, SecLlamaError } from "../../errors.ts";
import { openKeySource } from "../../keys/mod.ts";
import { hardenSelf } from "../../sandbox/mod.ts";
import { type Command, JSON_OPTION, stringOption } from "../command.ts";
import { EXIT_CODES, OPTIONS, report } from "../key_common.ts";
import { keySourceOptions, UNUSED_KEY_OPTIONS } from "../key_options.ts";
import { plural } from "../../plural.ts";
import { readSettings } from "../settings.ts";
import { listCommand } from "./list.ts";
import { openForReading } from "./open.ts";
import { writeRows } from "./output.ts";
import { readPast } from "./time.ts";
import { verifyCommand } from "./verify.ts";

const key: Command = {
  path: ["audit", "key"],
  example: "secllama audit key > audit.pem",
  summary: "Print the public key that the audit log is signed with, for who is to check it",
  options: OPTIONS,
  details:
    `PEM, as openssl and Python's cryptography read it. It changes when the keys are rotated; the log says so, and
the older key signs for the newer one.\n${EXIT_CODES}`,
  async run(context) {
    hardenSelf(); // before a key is in memory
    const { dataDir } = await readSettings(context);
    using keys = await openKeySource(keySourceOptions(context, dataDir));
    using signer = await AuditSigner.of(keys);
    const { publicKey } = signer.signing;
    const pem = toPem("PUBLIC KEY", publicKey.spki());
    report(context, { id: publicKey.id, kid: signer.kid, pem }, [pem.trimEnd()]);
    return EXIT.ok;
  },
};

const prove: Command = {
  path: ["audit", "prove"],
  example: "secllama audit prove 12 > proof.json",
  summary: "Print a proof that a line is in the log, for who has nothing but the public key",
  arguments: "N",
  minPositionals: 1,
  maxPositionals: 1,
  options: UNUSED_KEY_OPTIONS,
  details: "To check it: secllama audit verify FILE --key KEY. An export proves the whole log.",
  async run(context) {
    const text = context.positionals[0]!;
    if (!/^\d{1,15}$/.test(text)) {
      throw new SecLlamaError("usage", "a line is named by its number", {
        hint: "to see them: secllama audit list",
      });
    }
    using db = await openForReading(context);
    context.tui.json(proveLine(db, Number(text)));
    return EXIT.ok;
  },
};

const exportCommand: Command = {
  path: ["audit", "export"],
  endsWithItsReader: true,
  example: "secllama audit export audit.jsonl",
  summary: "Write the whole log with its signed heads to a file, for an auditor",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: { ...JSON_OPTION, ...UNUSED_KEY_OPTIONS },
  details:
    `FILE must not exist yet; - is standard output. Lines of JSON. The log names clients and models and holds no
content. To check it: secllama audit verify FILE --key KEY.`,
  async run(context) {
    const path = context.positionals[0]!;
    using db = await openForReading(context);
    const rows = await writeRows(path, exportLines(db), context.tui.write);
    if (path !== "-") report(context, { path, rows }, [`wrote ${plural(rows, "row")} to ${path}`]);
    return EXIT.ok;
  },
};

const prune: Command = {
  path: ["audit", "prune"],
  example: "secllama audit prune --before 180d",
  summary: "Take old lines away and keep their hashes, so that the rest still verifies",
  options: {
    ...OPTIONS,
    before: { type: "string", value: "WHEN", help: "a date (2026-01-31) or an age (180d)" },
  },
  details:
    `The texts are overwritten in the file. The lines that tell of the log's keys and of earlier pruning stay. That
it was pruned, up to which line, and by whom is a line itself.\n${EXIT_CODES}`,
  async run(context) {
    hardenSelf(); // before a key is in memory
    const beforeMs = readPast("--before", stringOption(context, "before"));
    const { dataDir } = await readSettings(context);
    using keys = await openKeySource(keySourceOptions(context, dataDir));
    // It is recorded whatever the settings say of other acts: what is not said would look like a theft.
    const options = { dataDir, keys, hid: keys.hid, stateDir: stateDirectory(context.env) };
    (await openForReading(context))[Symbol.dispose]();
    const log = await AuditLog.open(options);
    let before = 0;
    let count = 0;
    try {
      using db = AuditDatabase.open(dataDir);
      before = olderThan(db, beforeMs);
      if (before > 0) {
        await log.record({ event: "audit-pruned", fields: { before } });
        await log.sign();
        count = await forgetBefore(db, before);
      }
    } finally {
      await log.close();
    }
    report(context, { before, count }, [
      count === 0
        ? "nothing is that old"
        : `took ${plural(count, "line")} away, up to line ${before - 1}`,
    ]);
    return EXIT.ok;
  },
};

/** The commands of `secllama audit`. */
export const auditCommands: readonly Command[] = [
  listCommand,
  verifyCommand,
  key,
  prove,
  exportCommand,
  prune,
];
