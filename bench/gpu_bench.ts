/**
 * Everything that a borrowed machine with an NVIDIA GPU can tell in a few minutes, in one command:
 *
 *     deno run -A --frozen bench/gpu_bench.ts [--libraries FOLDER] [--size 1B] [--rehearse]
 *
 *     --libraries  llama.cpp's CUDA libraries; else they are fetched from npm, and their digest is checked (docs/gpu.md)
 *     --size       of the model of random weights that is asked
 *     --rehearse   all steps where there is no GPU, on the processor: shows that the command works, and nothing about GPUs
 *
 * The card and its driver; the plan of the sandbox; the whole list of attacks from inside a runner that has the GPU; then tokens a
 * second of one stream: ours with the GPU, ours on the processor, llama-server with the GPU, in turn. Ends with 0 if all attacks
 * were refused and the GPU computed, with 3 where there is none.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { libraryFolder } from "../runner/engine/testing.ts";
import { makeRandomGguf } from "../runner/engine/testing_gguf.ts";
import { cli, newHome, startServe } from "../tests/support/serve.ts";
import { median } from "./median.ts";
import { DEFAULT_THREADS, peerFromPackage } from "./server_bench.ts";
import { type Side, startLlamaServer, startOurs } from "./server_sides.ts";

const PACKAGE = "@node-llama-cpp/linux-x64-cuda@3.21.1";
/** Of the package's archive, as docs/gpu.md has it. */
const SHA512 =
  "idsE55VoD/FbvLhnBC9krUJaUoC0XnebseAAnCpm/brKf61HEbu+idgbb5eN6mxkjLSrHtILprJ0nDcUJjVrFg==";
const ROUNDS = 3;
const TOKENS = 128;

const { values } = parseArgs({
  options: {
    libraries: { type: "string" },
    size: { type: "string", default: "1B" },
    rehearse: { type: "boolean", default: false },
  },
});

async function output(program: string, args: string[], cwd?: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  if (code !== 0) throw new Error(`${program}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout).trim();
}

/** The libraries from npm, unpacked, once their archive is the one that is known. */
async function fetchLibraries(folder: string): Promise<string> {
  const archive = join(folder, await output("npm", ["pack", "--silent", PACKAGE], folder));
  const digest = createHash("sha512").update(await Deno.readFile(archive)).digest("base64");
  if (digest !== SHA512) throw new Error(`${PACKAGE} is another archive: sha512 ${digest}`);
  await output("tar", ["xzf", archive, "-C", folder, "package/bins"]);
  return join(folder, "package/bins/linux-x64-cuda");
}

function say(step: string): void {
  console.log(`\n== ${step}`);
}

say("the card");
const card = await output("nvidia-smi", [
  "--query-gpu=name,driver_version,memory.total",
  "--format=csv,noheader",
]).catch(() => undefined);
console.log(card ?? "none: no nvidia-smi answers");
if (card === undefined && !values.rehearse) {
  console.log("nothing was run: this needs a machine with an NVIDIA GPU (--rehearse goes on)");
  Deno.exit(3);
}
const dir = await Deno.makeTempDir({ prefix: "secllama-gpu-" });
const libraries = values.libraries ??
  (card === undefined ? libraryFolder() : await fetchLibraries(dir));
const gpu: Record<string, string> = card === undefined
  ? { SECLLAMA_GPU: "off" }
  : { SECLLAMA_GPU: "nvidia", SECLLAMA_GPU_LIBRARIES: libraries };
const failures: string[] = [];
const { home, env } = await newHome();
for (const command of [["sandbox", "plan"], ["doctor"]]) {
  say(`secllama ${command.join(" ")}`);
  const { code, stdout, stderr } = await cli(command, { env: { ...env, ...gpu } });
  console.log(stdout + stderr);
  if (code !== 0) failures.push(`${command.join(" ")} ended with ${code}`);
}

say("serve");
const served = await startServe({ env: gpu, args: ["--ephemeral"] });
console.log(served.banner);
const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
console.log(JSON.stringify(status.gpu));
if (card !== undefined && status.gpu.used !== "nvidia") failures.push("the GPU did not compute");
await served.stop();

say(`tokens a second, one stream, ${values.size} Q8_0`);
const model = join(dir, "model.gguf");
makeRandomGguf(values.size, "q8_0", model);
const peer = await peerFromPackage();
// The peer finds its backends beside itself.
const peerFolder = join(dir, "peer");
await Deno.mkdir(peerFolder);
const peerHome = peer.slice(0, peer.lastIndexOf("/"));
for (const { name } of Deno.readDirSync(peerHome)) {
  await Deno.copyFile(join(peerHome, name), join(peerFolder, name));
}
for (const { name } of Deno.readDirSync(libraries)) {
  if (name.includes("cuda")) await Deno.copyFile(join(libraries, name), join(peerFolder, name));
}
const options = { model, slots: 1, context: 1024, threads: DEFAULT_THREADS };
const sides: Readonly<Record<string, () => Promise<Side>>> = {
  "SecLlama, with the GPU": () => startOurs({ ...options, env: gpu }),
  "SecLlama, processor": () => startOurs({ ...options, env: { SECLLAMA_GPU: "off" } }),
  "llama-server, with the GPU": () =>
    startLlamaServer(join(peerFolder, "llama-server"), {
      ...options,
      args: card === undefined ? [] : ["--n-gpu-layers", "999"],
    }),
};
const speeds = new Map<string, number[]>();
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, start] of Object.entries(sides)) {
    const side = await start();
    try {
      await side.ask({ prompt: "Once upon a time", tokens: 8, cache: false });
      const seen = await side.ask({ prompt: "Once upon a time", tokens: TOKENS, cache: false });
      const speed = (seen.tokens - 1) / (seen.lastMs - seen.firstMs) * 1000;
      speeds.set(name, [...speeds.get(name) ?? [], speed]);
    } finally {
      await side.stop();
    }
  }
}
for (const [name, all] of speeds) {
  const range = `${Math.min(...all).toFixed(1)} – ${Math.max(...all).toFixed(1)}`;
  console.log(`${name.padEnd(28)}${median(all).toFixed(1).padStart(8)}  (${range})`);
}
await Deno.remove(dir, { recursive: true });
await Deno.remove(home, { recursive: true });
say(failures.length === 0 ? "all steps went through" : failures.join("; "));
if (card === undefined) console.log("a rehearsal: nothing here says anything about a GPU");
Deno.exit(failures.length === 0 ? 0 : 1);
