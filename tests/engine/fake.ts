/** The fake of an engine (fake_llama_server.py) as settings of `serve`, where this machine can run it. */
import { ROOT } from "../support/serve.ts";

const PROGRAM = `${ROOT}tests/engine/fake_llama_server.py`;
const PYTHON = "/usr/bin/python3";

/** What Python reads besides its libraries; undefined: there is none, and a test that needs it is to be skipped. */
export function pythonLibrary(): string | undefined {
  try {
    const version = Deno.realPathSync(PYTHON).match(/python(3\.\d+)$/)?.[1];
    const folder = `/usr/lib/python${version}`;
    return version !== undefined && Deno.statSync(folder).isDirectory ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** Settings by which the fake stands in for an engine. The script is made in `folder`, for this machine's Python. */
export async function fakeEngine(
  folder: string,
  kind: "llama-server" | "vllm" = "llama-server",
): Promise<Record<string, string>> {
  const path = `${folder}/fake-${kind}`;
  // -S: no packages of the machine's; -B: nothing is written beside the sources.
  const text = `#!${PYTHON} -SB\n${await Deno.readTextFile(PROGRAM)}`;
  await Deno.writeTextFile(path, text);
  await Deno.chmod(folder, 0o755);
  await Deno.chmod(path, 0o755);
  return {
    SECLLAMA_ENGINE: kind,
    SECLLAMA_ENGINE_PATH: path,
    SECLLAMA_ENGINE_FILES: pythonLibrary()!,
  };
}

/** Why a test that needs the fake cannot run here; undefined: it can. */
export function withoutFake(): string | undefined {
  if (Deno.build.os !== "linux") return "engines run in the sandbox of Linux";
  return pythonLibrary() === undefined
    ? "there is no /usr/bin/python3 with its library"
    : undefined;
}
