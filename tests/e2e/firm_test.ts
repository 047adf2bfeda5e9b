/** A firm's host, as its administrator and an auditor meet it. It is started once; its steps are told by subject, in files beside. */
import assert from "node:assert/strict";
import { cli, newHome } from "../support/serve.ts";
import { FirmHost, today } from "./firm_host.ts";
import {
  findsEdits,
  keepsNoContent,
  refusesWithoutRecord,
  showsRecord,
  takesTextsAway,
} from "./firm_record.ts";
import { approvesModels, limitsRoles, narrowsRoles } from "./firm_roles.ts";
import {
  answersTokens,
  endsAnswersOfRevoked,
  givesReceipts,
  refusesRevoked,
} from "./firm_tokens.ts";

Deno.test("firm: tokens, the record, an auditor, a log that cannot be written; no content anywhere", async (t) => {
  await using firm = await FirmHost.make();
  const { run, asPrinted } = firm;
  await t.step("the administrator makes tokens, as the page says", async () => {
    await asPrinted("Tokens for programs");
  });
  firm.token = (await run("secllama token create client --expires 1d")).trim();
  await firm.serve();
  const steps: readonly (readonly [name: string, step: (firm: FirmHost) => Promise<void>])[] = [
    [
      "who shows a token is answered, nobody else; this user's own commands need none",
      answersTokens,
    ],
    ["a receipt: which request and reply it was, for who has the key alone", givesReceipts],
    [
      "a token that is taken back ends the answer under way; what was made of it is in the record",
      endsAnswersOfRevoked,
    ],
    [
      "while the log cannot be written nothing is answered, and then it goes on",
      refusesWithoutRecord,
    ],
    [
      "a role's limit: 429 in each dialect, with its headers, and a model that is not its own",
      limitsRoles,
    ],
    ["a role's kinds of call, length of replies and hours, each dialect, at once", narrowsRoles],
    ["only approved models: by digest, by signature, and at once", approvesModels],
    ["a token that is revoked lets nobody in, at once", refusesRevoked],
    ["the record, as the page says: whole, exported, proven", showsRecord],
    ["an edited copy is found, by the auditor too", findsEdits],
  ];
  for (const [name, step] of steps) await t.step(name, () => step(firm));
  await firm.stop();
  await t.step("what was used is there when it starts again", async () => {
    const left = today() === firm.limitedOn ? 0 : 3; // midnight has passed
    assert.match(
      await run("secllama clients list"),
      new RegExp(`app .*${left} of 3 requests left this day`),
    );
  });
  await t.step("neither a prompt nor a token is in any file or line", () => keepsNoContent(firm));
  await t.step("retention, as the page says", () => takesTextsAway(firm));
});

Deno.test("firm: a record needs a key that lasts", async () => {
  const { home, env } = await newHome();
  try {
    const done = await cli(["serve", "--ephemeral", "--port=0", "--proxy-port=0", "--no-preload"], {
      env: { ...env, SECLLAMA_AUDIT: "on" },
    });
    assert.equal(done.code, 2, done.stderr);
    assert.match(done.stderr, /needs a key that outlives this process/);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
