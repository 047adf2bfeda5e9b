/** The host of firm_test.ts, as its administrator meets it: real processes, sandbox and model, and the commands of docs/firm.md. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { blocksOf, PageShell } from "../support/page_blocks.ts";
import { cli, newHome, ROOT, type Served, startServe } from "../support/serve.ts";

/** In each prompt. */
export const CANARY = "canary-5f1c2a";

const KEY = `sl1:${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;

/** By UTC. */
export const today = () => new Date().toISOString().slice(0, 10);

/** What its steps share. */
export class FirmHost {
  /** Of the program that may always come, until its token is revoked. */
  token = "";
  /** The day on which a role's requests were used up. */
  limitedOn = "";
  #served: Served | undefined;

  private constructor(
    readonly home: string,
    readonly env: Record<string, string>,
    readonly policyFile: string,
    readonly shell: PageShell,
  ) {}

  /** Its folder and settings; nothing serves yet. */
  static async make(): Promise<FirmHost> {
    const { home, env: base } = await newHome();
    const data = join(home, "data");
    const env = {
      ...base,
      SECLLAMA_KEY: KEY,
      SECLLAMA_DATA_DIR: data,
      XDG_STATE_HOME: join(home, "state"),
    };
    await Deno.mkdir(data, { mode: 0o700 });
    const policyFile = join(home, "models.json");
    await Deno.writeTextFile(policyFile, await approvesAllDemo());
    await Deno.writeTextFile(
      join(data, "config.toml"),
      `audit = "on"\nrequire_token = true\nmodel_policy = "${policyFile}"\n`,
    );
    return new FirmHost(home, env, policyFile, await PageShell.open(home, env));
  }

  get data(): string {
    return join(this.home, "data");
  }

  get served(): Served {
    return this.#served!;
  }

  get proxyUrl(): string {
    return this.served.proxyUrl;
  }

  async serve(): Promise<void> {
    this.#served = await startServe({ args: [], env: this.env });
  }

  /** Runs a command as the page writes it, `> FILE` too. @returns What it printed. */
  run = async (line: string, expected = 0): Promise<string> => {
    const [command, file] = line.split(" > ");
    const words = command!.replaceAll("'", "").split(" ").slice(1);
    const done = await cli(words, { env: this.env });
    assert.equal(done.code, expected, `${line}: ${done.stdout}${done.stderr}`);
    if (file !== undefined) await Deno.writeTextFile(join(this.home, file), done.stdout);
    return done.stdout;
  };

  /** Runs what the page has under this heading. */
  asPrinted = async (heading: string): Promise<void> => {
    for (const block of await blocksOf("docs/firm.md", heading)) await this.shell.run(block);
  };

  /** Asks the model, with these headers. */
  ask = (headers: Record<string, string>, path = "/v1/chat/completions"): Promise<Response> =>
    fetch(this.proxyUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({
        model: "demo",
        messages: [{ role: "user", content: CANARY }],
        max_tokens: 4,
      }),
    });

  async stop(): Promise<void> {
    await this.#served?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
    await Deno.remove(this.home, { recursive: true });
  }
}

/** By the digest of the file in the repository. */
async function approvesAllDemo(): Promise<string> {
  const demo = await Deno.readFile(join(ROOT, "models/demo.gguf"));
  const digest = createHash("sha256").update(demo).digest("hex");
  return JSON.stringify({
    version: 1,
    allow: [{ names: ["demo"], digests: [`sha256:${digest}`] }],
  });
}
