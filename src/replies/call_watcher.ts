/** Finds where, in a call that is written as JSON, the arguments are, before the call is whole. */
import type { Draft } from "./draft.ts";
import { type JsonListener, JsonWalker } from "./json_walker.ts";
import type { Source } from "./source.ts";
import type { Tools } from "./tools.ts";

/** Names of what holds the arguments; in capitals as Go's templates show calls where they write a whole one. */
export const ARGUMENTS: readonly string[] = ["arguments", "parameters", "args", "Arguments"];
/** Names of what holds the tool's name. */
export const NAMES: readonly string[] = ["name", "function", "tool_name", "Name"];

/**
 * `named`: an object with the name and the arguments, or a list of them; `keyed`: the name is the object's only key; a name: it
 * is known, and the object is its arguments.
 */
export type CallShape = "named" | "keyed" | { readonly name: string };

interface Frame {
  readonly kind: "list" | "call" | "inner" | "other";
  /** The member that is read now. */
  key?: string;
}

export class CallWatcher implements JsonListener {
  readonly #walker = new JsonWalker(this);
  readonly #source: Source;
  readonly #tools: Tools;
  readonly #shape: CallShape;
  readonly #frames: Frame[] = [];
  #draft: Draft | undefined;
  /** How many brackets are open around the draft. */
  #outside = 0;
  #name: string | undefined;
  /** The object that is read now has had its arguments. */
  #had = false;
  /** Elements of the list, and those of which drafts are. */
  #elements = 0;
  #drafts = 0;
  #mark: number | undefined;

  constructor(source: Source, tools: Tools, shape: CallShape = "named") {
    this.#source = source;
    this.#tools = tools;
    this.#shape = shape;
  }

  /** The JSON is whole, or what came is none. */
  get ended(): boolean {
    return this.#walker.state !== "open";
  }

  /** How far what was read is in the drafts. */
  get mark(): number | undefined {
    return this.#mark;
  }

  /** @returns How many units were read. */
  push(text: string): number {
    const used = this.#walker.push(text);
    if (this.#draft !== undefined) this.#mark = this.#walker.read;
    return used;
  }

  open(bracket: "{" | "["): void {
    this.#frames.push({ kind: this.#kindOf(bracket, this.#frames.at(-1)) });
  }

  #kindOf(bracket: "{" | "[", parent: Frame | undefined): Frame["kind"] {
    if (this.#draft !== undefined) return "other";
    if (bracket === "[") return parent === undefined ? "list" : "other";
    if (typeof this.#shape === "object") {
      if (parent === undefined) this.#begin(this.#shape.name);
      return "other";
    }
    if (parent === undefined || parent.kind === "list") {
      this.#name = undefined;
      this.#had = false;
      return "call";
    }
    const { kind, key } = parent;
    if ((kind !== "call" && kind !== "inner") || key === undefined || this.#had) return "other";
    if (this.#shape === "keyed") this.#begin(key);
    else if (kind === "call" && key === "function") return "inner";
    else if (ARGUMENTS.includes(key) && this.#name !== undefined) this.#begin(this.#name);
    return "other";
  }

  #begin(name: string): void {
    this.#had = true;
    if (!this.#tools.has(name)) return this.#source.settle();
    // One before it has no draft: those are given in order.
    if (this.#drafts !== this.#elements) this.#source.settle();
    this.#draft = this.#source.draft(name);
    if (this.#draft === undefined) return;
    this.#drafts++;
    this.#outside = this.#frames.length;
  }

  close(): void {
    const frame = this.#frames.pop()!;
    if (this.#draft !== undefined && this.#frames.length === this.#outside) {
      this.#draft.finish();
      this.#draft = undefined;
      this.#mark = this.#walker.read;
    }
    if (frame.kind === "call" && !this.#had) this.#source.settle();
  }

  string(value: string, isKey: boolean): void {
    const frame = this.#frames.at(-1);
    if (this.#draft !== undefined || frame === undefined) return;
    if (isKey) frame.key = value;
    else if (
      (frame.kind === "call" || frame.kind === "inner") && NAMES.includes(frame.key ?? "")
    ) this.#name ??= value;
  }

  text(json: string): void {
    this.#draft?.add(json);
    if (json === "," && this.#frames.length === 1 && this.#frames[0]!.kind === "list") {
      this.#elements++;
    }
  }
}
