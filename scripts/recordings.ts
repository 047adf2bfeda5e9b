/**
 * Records the journeys that the README shows, each a real run on a terminal of its own, to docs/recordings/*.cast, and draws them to
 * *.svg. Needs script(1) of util-linux, curl, and the ports 11434 and 11435.
 *
 *     deno run -A scripts/recordings.ts          records and draws
 *     deno run -A scripts/recordings.ts --draw   draws what was recorded before
 */
import { join } from "node:path";
import { PROGRAM_PERMISSIONS } from "../src/permissions.ts";
import { addModel } from "../tests/support/ollama_folder.ts";
import { drawRecording, type Event, parseCast } from "./recordings/draw.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const FOLDER = join(ROOT, "docs/recordings");
const COLUMNS = 100;
/** A longer wait says nothing more. */
const MOST_PAUSE = 1.5;
const TYPING = 0.03;

interface Journey {
  readonly name: string;
  /** Runs all the time; it is ready when it has printed this. */
  readonly serve: string;
  /** One after the other, beside it. */
  readonly commands: readonly string[];
  readonly prepare?: (home: string) => Promise<void>;
}

const JOURNEYS: readonly Journey[] = [
  {
    name: "first-answer",
    serve: "secllama serve --ephemeral-fallback",
    commands: ['secllama run demo "Where are my keys?"'],
  },
  {
    name: "from-ollama",
    serve: "OLLAMA_MODELS=~/.ollama/models secllama serve --ephemeral-fallback --model mine",
    commands: ["secllama ps", 'secllama run mine "What is network isolation?"'],
    async prepare(home) {
      const model = await Deno.readFile(join(ROOT, "models/demo.gguf"));
      await addModel(join(home, ".ollama/models"), "mine:latest", [["model", model]]);
    },
  },
  {
    name: "what-is-enforced",
    serve: "secllama serve --ephemeral-fallback",
    commands: [
      "secllama status",
      `curl -s http://127.0.0.1:11435/api/chat -d '{"model":"demo","messages":[]}'`,
    ],
  },
];

async function record({ serve, commands, prepare }: Journey): Promise<Event[]> {
  const home = await Deno.makeTempDir({ prefix: "recording-" });
  try {
    await prepare?.(home);
    const flags = ["--quiet", "--frozen", "--no-prompt", ...PROGRAM_PERMISSIONS].join(" ");
    const program =
      `#!/bin/sh\nexec ${Deno.execPath()} run ${flags} --config ${ROOT}deno.json ${ROOT}main.ts "$@"\n`;
    await Deno.writeTextFile(join(home, "secllama"), program, { mode: 0o755 });
    const env = {
      HOME: home,
      PATH: `${home}:/usr/bin:/bin`,
      TERM: "xterm-256color",
      LANG: "C.UTF-8",
      DENO_DIR: Deno.env.get("DENO_DIR") ?? join(Deno.env.get("HOME")!, ".cache/deno"),
    };
    const events: Event[] = [];
    let now = 0;
    const type = (command: string) => {
      events.push({ at: now, text: "\x1b[36m$\x1b[0m " });
      for (const char of command) events.push({ at: now += TYPING, text: char });
      events.push({ at: now += 0.3, text: "\r\n" });
    };
    type(serve);
    const running = start(serve, env);
    now = await play(running.output, events, now, (text) => /\n {2}isolation .*\n$/.test(text));
    for (const command of commands) {
      now += 1;
      events.push({ at: now, text: "\r\n" });
      type(command);
      now = await play(start(command, env).output, events, now, () => false);
    }
    running.child.kill("SIGTERM");
    await running.child.status;
    return events;
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

function start(command: string, env: Record<string, string>) {
  const child = new Deno.Command("/usr/bin/script", {
    args: ["-qefc", `stty cols ${COLUMNS} rows 30; ${command}`, "/dev/null"],
    env,
    clearEnv: true,
    cwd: env["HOME"]!,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  return { child, output: child.stdout };
}

/** Adds what a program prints until it ends or `enough`; returns the time then. */
async function play(
  output: ReadableStream<Uint8Array>,
  events: Event[],
  begin: number,
  enough: (text: string) => boolean,
): Promise<number> {
  const decoder = new TextDecoder();
  let [now, last, all] = [begin, performance.now(), ""];
  for await (const chunk of output.values({ preventCancel: true })) {
    const text = decoder.decode(chunk, { stream: true });
    now += Math.min(MOST_PAUSE, (performance.now() - last) / 1000);
    last = performance.now();
    events.push({ at: now, text });
    all += text.replaceAll("\r\n", "\n");
    if (enough(all)) break;
  }
  return now;
}

if (import.meta.main) {
  await Deno.mkdir(FOLDER, { recursive: true });
  for (const journey of JOURNEYS) {
    const path = join(FOLDER, `${journey.name}.cast`);
    if (!Deno.args.includes("--draw")) {
      const head = JSON.stringify({ version: 2, width: COLUMNS, height: 30 });
      const lines = (await record(journey)).map(({ at, text }) =>
        JSON.stringify([Math.round(at * 100) / 100, "o", text])
      );
      await Deno.writeTextFile(path, [head, ...lines].join("\n") + "\n");
    }
    const events = parseCast(await Deno.readTextFile(path));
    await Deno.writeTextFile(path.replace(/cast$/, "svg"), drawRecording(events));
    console.log(`drew ${journey.name}.svg`);
  }
}
