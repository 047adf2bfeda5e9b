/// <reference lib="dom" />
/** What the page asks of the proxy, which is the only place that it asks. */
import { BYTES_TYPE, JSON_TYPE } from "../api/media_types.ts";
import { pathOf, ROUTES } from "../api/routes.ts";
import type { Model } from "./types.ts";

/** An error of the proxy: `{error, code, hint}`. */
export class ApiError extends Error {
  constructor(message: string, readonly code: string, readonly hint: string | undefined) {
    super(message);
  }
}

interface Question {
  readonly method?: string;
  /** Sent as JSON; a file as its bytes. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * Asks for JSON.
 * @throws {ApiError} What the proxy said, or that it does not answer.
 */
export async function ask<T>(path: string, options: Question = {}): Promise<T> {
  const answer = await send(path, options);
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** As {@link ask}, with the answer as it comes. */
async function send(
  path: string,
  { method = "GET", body, headers, signal }: Question = {},
): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      cache: "no-store",
      redirect: "error",
      credentials: "same-origin",
      ...(signal ? { signal } : {}),
      ...(body === undefined
        ? {}
        : body instanceof Blob
        ? { body, headers: { ...headers, "content-type": BYTES_TYPE } }
        : { body: JSON.stringify(body), headers: { ...headers, "content-type": JSON_TYPE } }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(
      "SecLlama does not answer",
      "unreachable",
      "is it still running? To start it: secllama serve",
    );
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({})) as Record<string, unknown>;
  throw new ApiError(
    typeof said["error"] === "string" ? said["error"] : `status ${answer.status}`,
    typeof said["code"] === "string" ? said["code"] : "unknown",
    typeof said["hint"] === "string" ? said["hint"] : undefined,
  );
}

/**
 * Refuses a file that the proxy would not take. It would answer before all of it is sent, and a browser that still sends
 * takes that for a connection that broke.
 * @throws {ApiError} `too-large`.
 */
export function refuseLarge(file: Blob, { maxBytes }: { readonly maxBytes: number }): void {
  if (file.size <= maxBytes) return;
  throw new ApiError(`larger than ${maxBytes / 2 ** 20} MB`, "too-large", undefined);
}

/** The documents of a body in lines of JSON, one after the other. */
async function* jsonLines(answer: Response): AsyncGenerator<Record<string, unknown>> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop()!;
    for (const line of lines) {
      if (line.trim() === "") continue;
      let document: unknown;
      try {
        document = JSON.parse(line);
      } catch {
        continue; // the answer broke off in it
      }
      yield Object(document) as Record<string, unknown>;
    }
    if (done) return;
  }
}

/** The models that are there. */
export async function models(): Promise<Model[]> {
  const { models } = await ask<{
    models: { name: string; details?: Record<string, string> }[];
  }>(ROUTES.tags.path);
  return models.map(({ name, details }) => ({
    name,
    ...(details?.["parameter_size"] ? { parameters: details["parameter_size"] } : {}),
  }));
}

/** What a model can do: "completion", "tools", "vision", "thinking", "embedding". */
export async function capabilities(model: string): Promise<string[]> {
  const shown = await ask<{ capabilities?: string[] }>(ROUTES.show.path, {
    method: "POST",
    body: { model },
  });
  return shown.capabilities ?? [];
}

const REPLIES = ROUTES.pageReplies.path;

/** A reply that the proxy has, done or not. */
export interface HeldReply {
  readonly id: string;
  readonly conversation: string;
  readonly started: number;
  readonly done: boolean;
  readonly note?: unknown;
}

/** Begins a reply, which is made whether the page stays or not. */
export function beginReply(
  conversation: string,
  o: { request: object; note: unknown; save?: { parent: string; model: string } },
): Promise<HeldReply> {
  return ask(REPLIES, { method: "POST", body: { conversation, ...o } });
}

/** The lines of a reply, from its first on. */
export async function followReply(id: string): Promise<AsyncGenerator<Record<string, unknown>>> {
  return jsonLines(await send(pathOf(ROUTES.pageReply, id)));
}

/** Replies that the proxy still has of a conversation. */
export async function heldReplies(conversation: string): Promise<HeldReply[]> {
  const query = new URLSearchParams({ conversation });
  return (await ask<{ replies: HeldReply[] }>(`${REPLIES}?${query}`)).replies;
}

/** Stops a reply that is being made; forgets one that is done. */
export async function endReply(id: string): Promise<void> {
  await ask(pathOf(ROUTES.pageReply, id), { method: "DELETE" });
}

/** A file of the proxy's, as it is. @throws {ApiError} */
export async function fileOf(path: string): Promise<Blob> {
  return await (await send(path)).blob();
}

/** Has the host's doctor run. Gives how long it has, in seconds, and in the end its report. @throws {ApiError} */
export async function runDoctor(onRunning: (seconds: number) => void): Promise<DoctorReport> {
  const answer = await send(ROUTES.doctor.path, { method: "POST", body: {} });
  for await (const line of jsonLines(answer)) {
    const { running, report, error, code, hint } = line;
    if (typeof running === "number") onRunning(running);
    if (report !== undefined) return Object(report) as DoctorReport;
    if (error !== undefined) {
      throw new ApiError(String(error), String(code), hint === undefined ? undefined : `${hint}`);
    }
  }
  throw new ApiError("the doctor's answer broke off", "unknown", "secllama doctor");
}

/** Of what `secllama doctor --json` prints, what is shown (docs/doctor.md). */
export interface DoctorReport {
  readonly verdict: "holds" | "fails" | "not judged";
  readonly checks: readonly DoctorCheck[];
  readonly limits: readonly DoctorCheck[];
}

interface DoctorCheck {
  readonly name: string;
  readonly result: "holds" | "fails" | "not run" | "note";
  readonly observed: string;
  readonly stoppedBy?: string;
}

/** Shows the launch secret of the address, if it has one. Returns the address's rest. */
export async function enter(hash: string): Promise<string> {
  const match = /^#launch=([\w-]{1,100})$/.exec(hash);
  if (!match) return hash;
  await ask(ROUTES.pageEnter.path, { method: "POST", body: { launch: match[1] } });
  return "";
}
