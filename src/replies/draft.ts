/** Calls that are known to be calls before they are whole: their arguments are shown as they grow. */
import { exactText } from "../exact_json.ts";
import { wholeMembers } from "./partial_json.ts";
import { lenientJson, type ParsedCall } from "./tools.ts";
import { isObject } from "./values.ts";

/** What came of a call. The pieces of one call, joined, are the JSON text of its arguments. */
export interface CallDelta {
  /** Of the reply's calls, from 0. */
  readonly index: number;
  readonly name: string;
  readonly json: string;
  /** The call, with its last piece. */
  readonly call?: ParsedCall;
}

/** The arguments of one call as JSON text, which grows. What is in it stays. */
export class Draft {
  readonly #pieces: string[] = [];
  /** Pieces that were taken already. */
  #taken = 0;
  #members = 0;
  #whole = false;

  constructor(readonly name: string) {}

  /** Whether all arguments are there. */
  get whole(): boolean {
    return this.#whole;
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  add(json: string): void {
    if (json !== "") this.#pieces.push(json);
  }

  /** Begins a member of the object; its value comes next. */
  key(name: string): void {
    this.add(`${this.#members++ === 0 ? "{" : ","}${JSON.stringify(name)}:`);
  }

  /** Ends an object of which {@link key} wrote the members. */
  close(): void {
    this.add(this.#members === 0 ? "{}" : "}");
    this.#whole = true;
  }

  /** All is said that was to be. */
  finish(): void {
    this.#whole = true;
  }

  /** What is new since it was asked last. */
  take(): string {
    const json = this.#pieces.slice(this.#taken).join("");
    this.#taken = this.#pieces.length;
    return json;
  }

  /** The call as it is now: cut, if it is not whole. */
  call(): ParsedCall {
    const json = this.#pieces.join("");
    const parsed = this.#whole ? lenientJson(json) : undefined;
    if (!isObject(parsed)) {
      return { name: this.name, arguments: wholeMembers(json), partial: json };
    }
    const same = exactText(parsed) === json;
    return { name: this.name, arguments: parsed, ...(same ? {} : { json }) };
  }
}

/** The JSON text of a call's arguments, as far as it goes. */
export function argumentsText(call: ParsedCall): string {
  return call.partial ?? call.json ?? exactText(call.arguments);
}

/** A text as a JSON string that grows. `into` absent: it is only collected. */
export class DraftText {
  readonly #into: Draft | undefined;
  #text: string[] = [];
  #held = "";

  constructor(into: Draft | undefined) {
    this.#into = into;
    into?.add('"');
  }

  add(text: string): void {
    this.#text.push(text);
    if (this.#into === undefined) return;
    const all = this.#held + text;
    // Half a character waits for its other half: alone it would be written as an escape.
    const keep = /[\ud800-\udbff]$/.test(all) ? 1 : 0;
    this.#held = all.slice(all.length - keep);
    this.#write(all.slice(0, all.length - keep));
  }

  end(): string {
    this.#write(this.#held);
    this.#into?.add('"');
    return this.text;
  }

  get text(): string {
    return this.#text.join("");
  }

  #write(text: string): void {
    this.#into?.add(JSON.stringify(text).slice(1, -1));
  }
}
