/** `secllama receipt …`: the host's signed word on one exchange, for its client. */
import { readError } from "../api/errors.ts";
import { readReceiptSecret, RECEIPT_ID } from "../api/receipt.ts";
import { pathOf, ROUTES } from "../api/routes.ts";
import { askLocalProxy } from "../app/local_proxy.ts";
import { checkReceipt } from "../audit/mod.ts";
import { EXIT, SecLlamaError } from "../errors.ts";
import { HINTS } from "../hints.ts";
import { ioError } from "../keys/keyset/manifest_file.ts";
import { readFileUpTo, readPublicKey } from "./audit/read.ts";
import { type Command, type CommandContext, JSON_OPTION, stringOption } from "./command.ts";
import { report } from "./key_common.ts";
import { UNUSED_KEY_OPTIONS } from "./key_options.ts";
import { ASKED_PROXY_OPTION, askedProxy, readSettings } from "./settings.ts";

const get: Command = {
  path: ["receipt", "get"],
  example: "secllama receipt get 0123456789abcdef0123456789abcdef receipt.cose",
  summary: "Fetch the host's signed word on one exchange",
  arguments: "ID FILE",
  minPositionals: 2,
  maxPositionals: 2,
  options: { ...ASKED_PROXY_OPTION, ...JSON_OPTION, ...UNUSED_KEY_OPTIONS },
  details:
    `ID is the header Secllama-Receipt of the answer to a request that had the header Secllama-Receipt: request. FILE must not
exist yet. The answer's header Secllama-Receipt-Secret is what proves later which request and reply it was: keep it with them.`,
  async run(context) {
    const [id, path] = context.positionals as [string, string];
    if (!RECEIPT_ID.test(id)) {
      throw new SecLlamaError("usage", "a receipt's id is 32 hexadecimal digits", {
        hint: "it is the header Secllama-Receipt of the answer",
      });
    }
    const answer = await askLocalProxy(askedProxy(await readSettings(context), context), {
      method: "GET",
      path: pathOf(ROUTES.receipt, id),
      signal: context.signal,
    });
    if (!answer.ok) throw await readError(answer);
    await writeNew(path, new Uint8Array(await answer.arrayBuffer()));
    report(context, { id, path }, [`wrote ${path}`]);
    return EXIT.ok;
  },
};

const verify: Command = {
  path: ["receipt", "verify"],
  example: "secllama receipt verify receipt.cose --key audit.pem",
  summary: "Check a receipt with the host's public key alone, without a network",
  arguments: "FILE",
  minPositionals: 1,
  maxPositionals: 1,
  options: {
    ...JSON_OPTION,
    ...UNUSED_KEY_OPTIONS,
    key: { type: "string", value: "FILE", help: "the public key to trust: of secllama audit key" },
    request: { type: "string", value: "FILE", help: "the body that was asked, byte by byte" },
    reply: { type: "string", value: "FILE", help: "the body that was answered, byte by byte" },
    secret: { type: "string", value: "FILE", help: "the answer's Secllama-Receipt-Secret" },
  },
  details: "Exit codes: 0 it holds, 9 it does not, 2 usage, 5 a file cannot be read.",
  async run(context) {
    const key = await readPublicKey(stringOption(context, "key"));
    if (key === undefined) {
      throw new SecLlamaError("usage", "a receipt needs the public key: --key FILE", {
        hint: HINTS.auditKey,
      });
    }
    const statement = await readFileUpTo(context.positionals[0]!);
    const verdict = checkReceipt(statement, key, {
      request: await fileOf(context, "request"),
      reply: await fileOf(context, "reply"),
      secret: await secretOf(context),
    });
    if (!verdict.ok) {
      report(context, { holds: false, why: verdict.why }, [`DOES NOT HOLD: ${verdict.why}`]);
      return EXIT.refused;
    }
    const { line, proven } = verdict;
    const { n, t, event: _, ...fields } = line;
    report(context, { holds: true, proven, line }, [
      `holds: line ${n} of the log, ${new Date(t).toISOString()}`,
      ...proven.map((of) => `  the ${of} is this one, byte by byte`),
      ...Object.entries(fields).map(([name, value]) => `  ${name}=${value}`),
    ]);
    return EXIT.ok;
  },
};

/** The commands of `secllama receipt`. */
export const receiptCommands: readonly Command[] = [get, verify];

async function fileOf(context: CommandContext, option: string): Promise<Uint8Array | undefined> {
  const path = stringOption(context, option);
  return path === undefined ? undefined : await readFileUpTo(path);
}

async function secretOf(context: CommandContext): Promise<Uint8Array | undefined> {
  const bytes = await fileOf(context, "secret");
  if (bytes === undefined) return undefined;
  const secret = readReceiptSecret(new TextDecoder().decode(bytes).trim());
  if (secret !== undefined) return secret;
  throw new SecLlamaError("usage", "--secret must name a file with the receipt's secret", {
    field: "--secret",
    hint: "it is the header Secllama-Receipt-Secret of the answer, 43 characters",
  });
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await Deno.writeFile(path, bytes, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new SecLlamaError("usage", `${path} exists already`, { hint: HINTS.newFile });
    }
    throw ioError("write", path, error);
  }
}
