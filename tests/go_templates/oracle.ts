/** Go's own text/template, driven as Ollama drives it: the program beside this file. */
import { join } from "node:path";
import type { TemplateMessage, TemplateTool } from "../../src/api/template/chat.ts";

export interface Case {
  readonly template: string;
  readonly messages?: readonly TemplateMessage[];
  readonly tools?: readonly TemplateTool[];
  readonly think?: boolean | string;
  readonly prompt?: string;
  readonly suffix?: string;
}

export interface Outcome {
  /** Empty, if it failed. */
  readonly text: string;
  /** Absent: it worked. `panic`: Go itself fell over. `unstable`: another text each time. */
  readonly phase?: "parse" | "run" | "panic" | "case" | "unstable";
  readonly error?: string;
}

const HERE = new URL("./", import.meta.url).pathname;
export const GO = "/usr/bin/go";

/** Builds the program once a process. */
let built: Promise<string> | undefined;

async function build(): Promise<string> {
  const program = join(await Deno.makeTempDir({ prefix: "go-templates-" }), "oracle");
  const { success, stderr } = await new Deno.Command(GO, {
    args: ["build", "-o", program, "."],
    cwd: HERE,
    env: { GOPROXY: "off", GOTOOLCHAIN: "local", CGO_ENABLED: "0", GOFLAGS: "-mod=mod" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return program;
}

export async function removeOracle(): Promise<void> {
  if (built === undefined) return;
  await Deno.remove(join(await built, ".."), { recursive: true });
  built = undefined;
}

async function run(args: string[], input: string): Promise<string> {
  const child = new Deno.Command(await (built ??= build()), {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  return new TextDecoder().decode((await output).stdout);
}

/** As in `go1.19.8`: 19. */
export async function goVersion(): Promise<number> {
  return Number(/^go1\.(\d+)/.exec(await run(["version"], ""))?.[1]);
}

/** What Go makes of each. */
export async function renderWithGo(cases: readonly Case[]): Promise<Outcome[]> {
  const lines = cases.map((one) =>
    JSON.stringify({
      ...one,
      messages: (one.messages ?? []).map(goMessage),
      tools: one.tools?.map((tool) => ({ type: "function", function: tool })),
    })
  );
  const out = await run([], lines.join("\n") + "\n");
  return out.trimEnd().split("\n").map((line) => JSON.parse(line));
}

function goMessage(message: TemplateMessage) {
  const { role, content, thinking, toolCalls, toolName, toolCallId } = message;
  return {
    role,
    content,
    thinking,
    tool_calls: toolCalls?.map(({ id, name, arguments: values }, index) => ({
      id,
      function: { index, name, arguments: values },
    })),
    tool_name: toolName,
    tool_call_id: toolCallId,
  };
}
