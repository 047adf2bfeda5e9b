/**
 * The history's thread: it may read and write the history's folder and nothing else. The proxy's own loop neither waits for the
 * disk nor for a search. It does one thing after the other, but that it reads documents beside the rest.
 */
import { parseJsonObject } from "../api/body.ts";
import { UNDO_MS } from "../api/history.ts";
import type { Bytes } from "../bytes.ts";
import { type Answer, CALLS, failureOf, type Question } from "./calls.ts";
import { writtenAs } from "./export.ts";
import { History } from "./history.ts";
import { readMessage } from "./shapes.ts";
import { Warming } from "./warming.ts";

let history: History | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
let warming: Warming | undefined;

/** Calls after which something may be left to erase. */
const ERASING: readonly string[] = ["remove", "erase", "addDocument", "removeDocument"];

/** Erases what was deleted when its time has come. What fails now is tried again. */
function sweep(): void {
  clearTimeout(timer);
  let wait: number | undefined;
  try {
    history?.inPlace();
    wait = history?.sweep();
  } catch {
    // The next call says what is wrong.
    wait = UNDO_MS;
  }
  if (wait !== undefined) timer = setTimeout(sweep, wait);
}

async function answer(question: Question): Promise<unknown> {
  if ("loaded" in question) return null;
  if ("open" in question) {
    history ??= new History(question.open);
    sweep();
    warming ??= new Warming(history);
    warming.start();
    return null;
  }
  if ("close" in question) {
    clearTimeout(timer);
    warming?.end();
    history?.[Symbol.dispose]();
    history = warming = undefined;
    return null;
  }
  const { call, written } = question;
  if (history === undefined || !CALLS.includes(call)) throw new TypeError("no such call");
  const values = question.values.map((value, i) =>
    call === "append" && i === 1 && value instanceof Uint8Array
      ? readMessage(parseJsonObject(value))
      : value
  );
  history.inPlace();
  warming?.inPlace();
  try {
    const said = await (history[call] as (...values: readonly unknown[]) => unknown)(...values);
    return written === undefined ? said : writtenAs(written, said);
  } finally {
    if (ERASING.includes(call)) sweep();
  }
}

/** This thread's side of the pipe; the types of a window know no thread. */
const thread = self as unknown as {
  onmessage: (event: MessageEvent<Question>) => void;
  postMessage(said: Answer, moved: ArrayBuffer[]): void;
};

thread.onmessage = async ({ data }) => {
  let said: Answer;
  try {
    said = { id: data.id, value: await answer(data) };
  } catch (error) {
    said = { id: data.id, failure: failureOf(error) };
  }
  // Moved: a copy of the largest would stop both threads.
  const value = "value" in said ? said.value : undefined;
  const whole = value instanceof Uint8Array && value.byteLength === value.buffer.byteLength;
  thread.postMessage(said, whole ? [(value as Bytes).buffer] : []);
};
