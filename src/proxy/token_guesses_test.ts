/**
 * Guesses at tokens, a million of them in a full run, through the whole gate: at the texts that are nearest to a token that lives, in
 * every place that a client has for one, from one sender and from many.
 */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { seeded } from "../../tests/support/seeds.ts";
import { toBase64Url } from "../bytes.ts";
import { Guesses } from "../firm/guesses.ts";
import { TokenCheck, Tokens } from "../firm/tokens.ts";
import { silentLogger } from "../log.ts";
import { type GateEnv, tokenGate } from "./token_gate.ts";

const COUNT = Deno.env.get("SECLLAMA_FULL") === "1" ? 1_000_000 : 10_000;
const MINUTE_MS = 60_000;
/** What is looked at of one sender until it is locked out, and once more where a right token has forgiven some. */
const LOOKED_AT = 20;
const LOCK_MS = 15 * MINUTE_MS;

const basic = (user: string, password: string) => `Basic ${btoa(`${user}:${password}`)}`;
const PLACES: readonly ((text: string) => Record<string, string>)[] = [
  (text) => ({ authorization: `Bearer ${text}` }),
  (text) => ({ "x-api-key": text }),
  (text) => ({ "api-key": text }),
  (text) => ({ authorization: basic("me", text) }),
  (text) => ({ authorization: basic(text, "") }),
];

Deno.test(`token gate: ${COUNT} guesses let nobody in, and of few more than twenty of a sender anything is looked at`, async () => {
  const folder = await Deno.makeTempDir({ prefix: "secllama-test-" });
  try {
    const { text: right } = await new Tokens(folder).create("mine");
    let now = 0;
    let looked = 0;
    let refusals = 0;
    let slept = 0;
    const check = new TokenCheck(folder);
    const app = new Hono<GateEnv>();
    app.use(
      "*",
      tokenGate({
        tokens: {
          find: (text) => (looked++, check.find(text)),
          idIn: (text) => check.idIn(text),
          wasRevoked: (id) => check.wasRevoked(id),
        },
        guesses: new Guesses(() => now),
        own: "x".repeat(43),
        logger: silentLogger,
        onRefused: () => refusals++,
        sleep: (ms) => Promise.resolve(void (slept += ms)),
      }),
    );
    app.all("*", (c) => c.text("in"));
    const ask = async (text: string, place: number, party: string) => {
      const headers = PLACES[place]!(text);
      const answer = await app.request("/api/chat", { method: "POST", headers }, { party });
      await answer.body?.cancel();
      return answer;
    };
    const random = seeded(17);
    /** All of it but some characters: what somebody has who knows the id and most of the secret. */
    const guess = () => {
      const secret = right.slice(17).split("");
      for (let i = 0; i < 3; i++) {
        const at = Math.floor(random() * secret.length);
        secret[at] = secret[at] === "A" ? "B" : "A";
      }
      if (secret.join("") === right.slice(17)) secret[0] = secret[0] === "C" ? "D" : "C";
      return random() < 0.9
        ? right.slice(0, 17) + secret.join("")
        : `slt_${right.slice(4, 16)}_${toBase64Url(crypto.getRandomValues(new Uint8Array(32)))}`;
    };

    // One sender that never rests, over the time that it takes at 100 a second.
    const half = COUNT / 2;
    for (let i = 0; i < half; i++) {
      const { status } = await ask(guess(), i % PLACES.length, "192.0.2.1");
      assert.ok(status === 401 || status === 429, String(status));
      now += 10;
    }
    const rounds = Math.ceil(now / LOCK_MS);
    assert.ok(refusals <= rounds * LOOKED_AT, `${refusals} looked at in ${rounds} rounds`);
    assert.equal(refusals >= LOOKED_AT, true);
    // The user before a password is a text, too.
    assert.ok(looked <= 2 * refusals, `${looked}`);
    assert.ok(slept > 0);
    const { status, headers } = await ask(right, 0, "192.0.2.1");
    assert.deepEqual([status, Number(headers.get("retry-after")) > 0], [429, true]);
    assert.equal((await ask(right, 0, "192.0.2.2")).status, 200, "others are not touched");
    now += LOCK_MS;
    assert.equal((await ask(right, 0, "192.0.2.1")).status, 200, "nor is it for ever");

    // Many senders, more than are remembered.
    const senders = COUNT / 50;
    refusals = 0;
    for (let i = 0; i < half; i++) {
      const { status } = await ask(guess(), i % PLACES.length, `10.${i % senders}`);
      assert.ok(status === 401 || status === 429, String(status));
    }
    if (senders <= 10_000) assert.equal(refusals, senders * LOOKED_AT);
    assert.equal((await ask(right, 0, "192.0.2.2")).status, 200);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
