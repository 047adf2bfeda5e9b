/** A gateway and a proxy of one home, each a process of its own, under a key file that can be rotated: either may end, and begin anew. */
import { join } from "node:path";
import { makeCheapKeyFile } from "../support/key_file.ts";
import { addModel } from "../support/ollama_folder.ts";
import { settled } from "../support/patience.ts";
import { makeScriptedModel } from "../support/scripted_model.ts";
import { newHome, secllama } from "../support/serve.ts";
import { startInTurn } from "../support/start_lock.ts";
import { SCRIPTS } from "./browser.ts";

interface Started {
  readonly url: string;
  readonly pid: number;
  kill(signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void;
  readonly ended: Promise<Deno.CommandStatus>;
}

export class Apart implements AsyncDisposable {
  readonly home: string;
  readonly #env: Record<string, string>;
  readonly #running = new Set<Started>();

  private constructor(home: string, env: Record<string, string>) {
    this.home = home;
    this.#env = env;
  }

  /** A home with the scripted model, and `bare`, the same without a chat template. */
  static async make(): Promise<Apart> {
    const { home, env } = await newHome();
    const models = join(home, "ollama");
    const passphrase = crypto.getRandomValues(new Uint8Array(24)).toBase64();
    await Deno.writeTextFile(join(home, "passphrase"), passphrase, { mode: 0o600 });
    await makeCheapKeyFile(join(home, "keys.json"), passphrase);
    const model = makeScriptedModel({ scripts: SCRIPTS, tools: [] });
    const params = ["params", { temperature: 0 }] as const;
    await addModel(models, "scripted:latest", [["model", model], params]);
    await Deno.writeFile(join(home, "mine.gguf"), model);
    await addModel(models, "bare:latest", [["model", withoutTemplate(model)], params]);
    return new Apart(home, { ...env, OLLAMA_MODELS: models });
  }

  #argv(args: readonly string[], keys: boolean): string[] {
    const source = ["--key-file", join(this.home, "keys.json"), "--passphrase-fd", "3"];
    const redirect = `exec "$@" 3<'${join(this.home, "passphrase")}'`;
    return ["/bin/sh", "-c", redirect, "sh", ...secllama([...args, ...keys ? source : []])];
  }

  /** Runs a command to its end. @throws {Error} With what it said, if it fails. */
  async command(args: readonly string[], keys = true): Promise<string> {
    const [program, ...argv] = this.#argv(args, keys);
    const { code, stdout, stderr } = await new Deno.Command(program!, {
      args: argv,
      env: this.#env,
      clearEnv: true,
      cwd: this.home,
      stdin: "null",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    if (code !== 0) throw new Error(`${args.join(" ")}: ${code} ${text(stderr)}`);
    return text(stdout);
  }

  /** @param port 0: any. */
  gateway(port = "0"): Promise<Started> {
    return this.#start(
      ["serve", "--no-proxy", "--port", port],
      /gateway +(http:\S+)[^]*isolation .*\n/,
    );
  }

  proxy(gateway: string): Promise<Started> {
    return this.#start(["proxy", "--proxy-port=0", "--gateway", gateway], /proxy ready on (\S+?),/);
  }

  #start(args: readonly string[], ready: RegExp): Promise<Started> {
    return startInTurn(async () => {
      const [program, ...argv] = this.#argv(args, true);
      const child = new Deno.Command(program!, {
        args: argv,
        env: this.#env,
        clearEnv: true,
        cwd: this.home,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const found = Promise.withResolvers<string>();
      const said = { out: "", err: "" };
      const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, to: "out" | "err") => {
        for await (const text of stream.pipeThrough(new TextDecoderStream())) {
          said[to] += text;
          const [, url] = ready.exec(said.out) ?? [];
          if (url !== undefined) found.resolve(url);
        }
      };
      const reading = Promise.all([read(child.stdout, "out"), read(child.stderr, "err")]);
      void reading.then(() => found.reject(new Error(`${args[0]} ended: ${said.out}${said.err}`)));
      const ended = Promise.all([child.status, reading]).then(([status]) => status);
      const started: Started = {
        url: await settled(found.promise, `${args[0]}'s first lines`),
        pid: child.pid,
        kill: (signal) => child.kill(signal),
        ended,
      };
      this.#running.add(started);
      void ended.then(() => this.#running.delete(started));
      return started;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [...this.#running].toReversed()) {
      one.kill("SIGCONT");
      one.kill("SIGTERM");
      await settled(one.ended, "its end");
    }
    await Deno.remove(this.home, { recursive: true });
  }
}

/** The key of the template is called something else: no other byte changes. */
function withoutTemplate(model: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode("tokenizer.chat_template");
  const copy = model.slice();
  const at = Buffer.from(copy.buffer).indexOf(name);
  if (at < 0) throw new Error("the model has no template");
  copy[at + name.length - 1] = "x".charCodeAt(0);
  return copy;
}
