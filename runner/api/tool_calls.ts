/**
 * Finding tool calls in a reply as it grows. Models write them in a few ways; each is known by what opens it:
 *
 *     <tool_call>{"name": …, "arguments": {…}}</tool_call>                        Hermes, Qwen 2.5 and 3
 *     <tool_call><function=NAME><parameter=P>…</parameter></function></tool_call>   Qwen 3 Coder
 *     [TOOL_CALLS][{"name": …, "arguments": {…}}]  or  [TOOL_CALLS]NAME[ARGS]{…}     Mistral
 *     <|tool_call|>[…]  ·  <|python_tag|>{…}  ·  <function=NAME>{…}</function>      Granite · Llama 3.1 · Llama 3.2
 *     {"name": …, "parameters": {…}}                                           Llama 3, as the whole reply
 *
 * What opens like a call but names no tool of the request, or is not JSON, is text.
 */
import { JsonScanner } from "./json_scan.ts";
import { partialCall, splitList } from "./partial_call.ts";
import { partialSuffix } from "./think.ts";

export interface ParsedCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The reply was cut within the call: the arguments' text as far as it goes. */
  readonly partial?: string;
}

interface Marker {
  readonly open: string;
  readonly close?: string;
}

const MARKERS: readonly Marker[] = [
  { open: "<tool_call>", close: "</tool_call>" },
  { open: "[TOOL_CALLS]" },
  { open: "<|tool_call|>", close: "<|/tool_call|>" },
  { open: "<|python_tag|>" },
  { open: "<function=", close: "</function>" },
];

/** Openings that may be control tokens, whose text an engine leaves out of the reply. */
export const CONTROL_MARKERS: readonly string[] = MARKERS.map((marker) => marker.open);

/** A bare JSON reply may be a call only if its first key is one of these. */
const FIRST_KEYS = ["name", "function", "type", "id", "parameters", "arguments", "tool_name"];
/** The first key as far as it is there: its text, and the quote that ends it. */
const FIRST_KEY = /^\s*(?:\[\s*)?(?:\{\s*(?:"([^"\\]*)("?))?)?/;

export interface Found {
  readonly text: string;
  readonly calls: readonly ParsedCall[];
}

/** Fed with text, gives back what is certain to be text, and calls once they are complete. */
export class ToolCallParser {
  readonly #tools: ReadonlySet<string>;
  #state: "start" | "text" | "bare" | "call" | "after" = "start";
  #held = "";
  /** What came since `#awaits` was set. A long string that grows by a token would be copied for each. */
  #parts: string[] = [];
  /** Whether anything can follow from this piece; nothing is looked at before. */
  #awaits: ((piece: string) => boolean) | undefined;
  /** Some text has been given back. */
  #said = false;
  #marker: Marker | undefined;
  #scanner: JsonScanner | undefined;

  constructor(toolNames: Iterable<string>) {
    this.#tools = new Set(toolNames);
  }

  push(piece: string): Found {
    if (this.#awaits) {
      this.#parts.push(piece);
      if (!this.#awaits(piece)) return { text: "", calls: [] };
      this.#join();
    } else this.#held += piece;
    let text = "";
    const calls: ParsedCall[] = [];
    for (;;) {
      const step = this.#step();
      if (step === undefined) return { text, calls };
      text += step.text;
      calls.push(...step.calls);
    }
  }

  /**
   * What is still held when the reply ends; an unclosed call counts if it is complete.
   * @param cut The reply was not over: what is left of a call is one, too, as far as it goes.
   */
  end(cut = false): Found {
    this.#join();
    const held = this.#held;
    this.#held = "";
    if (cut && this.#state === "bare") {
      const calls = this.#cutOff(held);
      if (calls.length > 0) return { text: "", calls };
    }
    if (this.#state === "call") {
      const marker = this.#marker!;
      // Markup may break off behind any parameter, and look whole.
      const open = cut && /^\s*<function=/.test(held) && !held.includes("</function>");
      const calls = open ? undefined : this.#parse(marker, held);
      if (cut && calls === undefined) {
        const sign = marker.open === "<function=" ? marker.open : "";
        // Where no tool is named yet there is nothing to tell.
        return { text: "", calls: this.#cutOff(sign + held) };
      }
      return calls === undefined ? { text: marker.open + held, calls: [] } : { text: "", calls };
    }
    return { text: this.#state === "after" ? held.trimStart() : held, calls: [] };
  }

  #join(): void {
    this.#held += this.#parts.join("");
    this.#parts = [];
    this.#awaits = undefined;
  }

  /** The whole calls of a text that breaks off within the last. */
  #cutOff(text: string): ParsedCall[] {
    const { whole, rest } = splitList(text);
    const last = partialCall(rest, this.#tools);
    return [
      ...whole.flatMap((one) => this.#fromJson(one) ?? []),
      ...(last === undefined ? [] : [last]),
    ];
  }

  /** One transition; `undefined` when more text is needed. */
  #step(): Found | undefined {
    switch (this.#state) {
      case "start":
        return this.#atStart();
      case "text":
        return this.#inText();
      case "bare":
        return this.#inBare();
      case "call":
        return this.#inCall();
      case "after":
        return this.#afterCall();
    }
  }

  #atStart(): Found | undefined {
    const trimmed = this.#held.trimStart();
    if (trimmed === "") return this.#await((piece) => piece.trim() !== "");
    if (trimmed[0] === "{" || trimmed[0] === "[") {
      if (MARKERS.some((marker) => marker.open.startsWith(trimmed))) return undefined;
      if (!MARKERS.some((marker) => trimmed.startsWith(marker.open))) {
        this.#scanner = new JsonScanner(0);
        return this.#go("bare");
      }
    }
    return this.#go("text");
  }

  #inText(): Found | undefined {
    let first: Marker | undefined;
    let at = Infinity;
    let keep = 0;
    for (const marker of MARKERS) {
      const index = this.#held.indexOf(marker.open);
      if (index >= 0 && index < at) {
        first = marker;
        at = index;
      }
      keep = Math.max(keep, partialSuffix(this.#held, marker.open));
    }
    if (first === undefined) {
      const end = this.#held.length - keep;
      if (end === 0) return undefined;
      const text = this.#held.slice(0, end);
      this.#held = this.#held.slice(end);
      this.#said ||= text.trim() !== "";
      return { text, calls: [] };
    }
    const text = this.#held.slice(0, at);
    this.#held = this.#held.slice(at + first.open.length);
    this.#marker = first;
    this.#scanner = undefined;
    this.#state = "call";
    // White space in front of a call that begins the reply is no text.
    return { text: this.#said || text.trim() !== "" ? text : "", calls: [] };
  }

  #inBare(): Found | undefined {
    const [found, key = "", quote = ""] = FIRST_KEY.exec(this.#held)!;
    if (quote === "") {
      const hopeful = found === this.#held && FIRST_KEYS.some((first) => first.startsWith(key));
      return hopeful ? this.#await((piece) => piece.trim() !== "") : this.#go("text");
    }
    if (!FIRST_KEYS.includes(key)) return this.#go("text");
    const scanner = this.#scanner!;
    const end = scanner.scan(this.#held);
    if (end < 0) return this.#await((piece) => scanner.feed(piece));
    const calls = this.#fromJson(this.#held.slice(0, end));
    if (calls === undefined) return this.#go("text");
    this.#held = this.#held.slice(end);
    this.#marker = undefined;
    this.#state = "after";
    return { text: "", calls };
  }

  #inCall(): Found | undefined {
    const marker = this.#marker!;
    const end = this.#endOfBody(marker);
    if (end < 0) return undefined; // what is awaited is set
    const body = this.#held.slice(0, end);
    this.#held = this.#held.slice(end);
    const calls = this.#parse(marker, body);
    this.#state = calls === undefined ? "text" : "after";
    return calls === undefined ? { text: marker.open + body, calls: [] } : { text: "", calls };
  }

  /** Index where the body of the call ends, -1 while it is not there. */
  #endOfBody(marker: Marker): number {
    if (this.#scanner === undefined) {
      if (this.#held.trim() === "") {
        this.#awaits = (piece) => piece.trim() !== "";
        return -1;
      }
      if (this.#held.trim() === "<") return -1; // what comes next tells markup from a closing tag
      const start = this.#held.search(/[{[]/);
      const markup = /^\s*<(?!\/)/.test(this.#held) && marker.open === "<tool_call>";
      const close = marker.close === undefined ? -1 : this.#held.indexOf(marker.close);
      if (markup || (close >= 0 && (start < 0 || close < start))) {
        if (close < 0) this.#awaits = holds(marker.close!, this.#held);
        return close;
      }
      // In `NAME[ARGS]{…}` the bracket is no JSON.
      const from = this.#held.startsWith("[ARGS]", start) ? start + "[ARGS]".length : start;
      if (start >= 0 && "[ARGS]".startsWith(this.#held.slice(start))) return -1;
      if (start < 0 || !/[{[]/.test(this.#held.slice(from))) {
        const closes = marker.close === undefined ? undefined : holds(marker.close, this.#held);
        this.#awaits = (piece) => [closes?.(piece), /[{[<]/.test(piece)].includes(true);
        return -1;
      }
      this.#scanner = new JsonScanner(from);
    }
    const scanner = this.#scanner;
    const end = scanner.scan(this.#held);
    if (end < 0) this.#awaits = (piece) => scanner.feed(piece);
    return end;
  }

  /** Between calls: drops white space, the closing tag and the ";" that Llama separates calls by. */
  #afterCall(): Found | undefined {
    const trimmed = this.#held.replace(/^[\s;]+/, "");
    const close = this.#marker?.close;
    if (close !== undefined && trimmed.startsWith(close)) {
      this.#held = trimmed.slice(close.length).trimStart();
      this.#marker = undefined;
      return { text: "", calls: [] };
    }
    this.#held = trimmed;
    if (trimmed === "" || close?.startsWith(trimmed)) return undefined;
    return this.#go("start");
  }

  #await(awaits: (piece: string) => boolean): undefined {
    this.#awaits = awaits;
  }

  #go(state: "start" | "text" | "bare"): Found {
    this.#state = state;
    return { text: "", calls: [] };
  }

  #parse(marker: Marker, body: string): ParsedCall[] | undefined {
    const text = body.trim();
    if (marker.open === "<function=") {
      const match = /^([^>{}\s]+)>\s*(\{[\s\S]*\})/.exec(text);
      return match === null ? undefined : this.#named(match[1]!, match[2]!);
    }
    if (text.startsWith("<function=")) return this.#fromMarkup(text);
    if (text.startsWith("{") || text.startsWith("[")) return this.#fromJson(text);
    const match = /^([\w.-]+)(?:\[CALL_ID\][\w-]*)?(?:\[ARGS\])?\s*(\{[\s\S]*\})$/.exec(text);
    return match === null ? undefined : this.#named(match[1]!, match[2]!);
  }

  #named(name: string, json: string): ParsedCall[] | undefined {
    const parsed = parseJson(json);
    return this.#tools.has(name) && isObject(parsed) ? [{ name, arguments: parsed }] : undefined;
  }

  #fromMarkup(text: string): ParsedCall[] | undefined {
    const name = /^<function=([^>\s]+)>/.exec(text)?.[1];
    if (name === undefined || !this.#tools.has(name)) return undefined;
    const parameters = text.matchAll(/<parameter=([^>\s]+)>\n?([\s\S]*?)\n?<\/parameter>/g);
    const entries = [...parameters].map(([, key, value]) => [key, parseJson(value!) ?? value]);
    return [{ name, arguments: Object.fromEntries(entries) }];
  }

  #fromJson(json: string): ParsedCall[] | undefined {
    const parsed = parseJson(json);
    const list = Array.isArray(parsed) ? parsed : [parsed];
    const calls = list.map((one) => this.#fromObject(one));
    return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined;
  }

  #fromObject(value: unknown): ParsedCall | undefined {
    if (!isObject(value)) return undefined;
    if (isObject(value.function)) return this.#fromObject(value.function);
    const name = value.name ?? value.function ?? value.tool_name;
    if (typeof name !== "string" || !this.#tools.has(name)) return undefined;
    let given = value.arguments ?? value.parameters ?? {};
    if (typeof given === "string") given = parseJson(given) ?? {};
    return isObject(given) ? { name, arguments: given } : undefined;
  }
}

/** Whether `wanted` has come to stand in a text that goes on after `before`, piece by piece. */
function holds(wanted: string, before: string): (piece: string) => boolean {
  let tail = before;
  return (piece) => {
    const seen = tail.slice(1 - wanted.length) + piece;
    tail = seen;
    return seen.includes(wanted);
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
