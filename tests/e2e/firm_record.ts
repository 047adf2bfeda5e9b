/** Steps of firm_test.ts: the record, what is in it and what is not, and an auditor. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { HANG_MS } from "../support/patience.ts";
import { CANARY, type FirmHost } from "./firm_host.ts";

/** While the log cannot be written nothing is answered, and then it goes on. */
export async function refusesWithoutRecord(firm: FirmHost): Promise<void> {
  const { ask, token, data } = firm;
  // The host may be signing a head just now.
  const lock = new DatabaseSync(join(data, "audit.db"), { timeout: HANG_MS });
  lock.exec("BEGIN IMMEDIATE");
  try {
    // The reply's last frame waits for its line, which cannot be written.
    const broken = await ask({ "x-api-key": token });
    assert.equal(
      broken.ok && (await broken.json().catch(() => undefined)) !== undefined,
      false,
    );
    const refused = await ask({ "x-api-key": token });
    assert.equal(refused.status, 503);
    assert.equal((await refused.json()).code, "audit-failed");
  } finally {
    lock.exec("ROLLBACK");
    lock.close();
  }
  assert.equal((await ask({ "x-api-key": token })).status, 200);
}

/** The record, as the page says: whole, exported, proven. */
export async function showsRecord(firm: FirmHost): Promise<void> {
  const { run, asPrinted } = firm;
  for (const heading of ["The audit log", "What an auditor gets"]) {
    await asPrinted(heading);
  }
  const lines = (await run("secllama audit list --last 0 --json")).trim().split("\n")
    .map((line) => JSON.parse(line));
  const events = lines.map(({ event }) => event);
  assert.deepEqual(events.slice(0, 4), [
    "audit-begun",
    "token-created",
    "token-revoked",
    "token-created",
  ]);
  for (const event of ["serve-started", "model-loaded", "exchange"]) {
    assert.ok(events.includes(event), event);
  }
  const answered = lines.filter(({ event, result }) =>
    event === "exchange" && result === "answered"
  );
  assert.ok(answered.length >= 3);
  const replies = answered.filter(({ client }) => client !== "narrow"); // that one also counts
  assert.ok(replies.every(({ tokens_in, tokens_out }) => tokens_in > 0 && tokens_out > 0));
  assert.ok(answered.some(({ client, kind_of_client }) => client === "app" && kind_of_client));
  const refused = lines.filter(({ event }) => event === "client-refused");
  for (const code of ["rate-limited", "role-refused", "token-refused"]) {
    assert.ok(refused.some((line) => line.code === code), code);
  }
  assert.ok(
    lines.filter(({ event, code }) => event === "model-refused" && code === "model-not-approved")
      .length >= 3,
  );
  const names = lines.filter(({ event }) => event === "model-refused").map((line) => line.model);
  assert.ok(names.every((name) => name.includes(":")), "by the full name, whoever asked");
  assert.ok(refused.some(({ code, client }) => code === "rate-limited" && client === "app"));
  const narrow = lines.filter(({ client }) => client === "narrow");
  assert.equal(narrow.filter(({ result }) => result === "role-refused").length, 6);
  assert.ok(
    narrow.some(({ event, code }) => event === "client-refused" && code === "role-refused"),
  );
  assert.ok(
    lines.some(({ event, kinds, reply_tokens }) =>
      event === "role-set" && kinds === "chat" && reply_tokens === 3
    ),
  );
  assert.equal(answered[0].isolation, "strict");
  assert.match(answered[0].digest, /^sha256:[0-9a-f]{64}$/);
}

/** An edited copy is found, by the auditor too. */
export async function findsEdits(firm: FirmHost): Promise<void> {
  const { run, home } = firm;
  const file = join(home, "edited.jsonl");
  const text = await Deno.readTextFile(join(home, "audit.jsonl"));
  await Deno.writeTextFile(file, text.replace("token-revoked", "token-created"));
  const said = await run("secllama audit verify edited.jsonl --key audit.pem", 9);
  assert.match(said, /NOT WHOLE[^]*line/);
}

/** Neither a prompt nor a token is in any file or line. */
export async function keepsNoContent(firm: FirmHost): Promise<void> {
  const { token, home } = firm;
  const seen: string[] = [firm.served.stderr()];
  const walk = async (folder: string) => {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) await walk(path);
      else if (entry.isFile) {
        seen.push(new TextDecoder("latin1").decode(await Deno.readFile(path)));
      }
    }
  };
  await walk(home);
  assert.ok(seen.length > 5);
  for (const text of seen) {
    assert.equal(text.includes(CANARY), false);
    assert.equal(text.includes(token), false);
  }
}

/** Retention, as the page says. */
export async function takesTextsAway(firm: FirmHost): Promise<void> {
  const { run, asPrinted } = firm;
  await asPrinted("Retention");
  const year = new Date().getUTCFullYear() + 1;
  await run(`secllama audit prune --before ${year}-01-01`, 2);
  assert.doesNotMatch(await run("secllama audit verify"), /taken away/);
  assert.match(await run("secllama audit list --event exchange"), /exchange/, "control");
  await run("secllama audit list --event exchanges", 2);
  await run("secllama audit prune --before 0s");
  assert.match(
    await run("secllama audit verify"),
    /whole[^]*texts of \d+ lines were taken away/,
  );
}
