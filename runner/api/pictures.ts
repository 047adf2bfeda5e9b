/**
 * Pictures and sounds of a request, from its fields to its prompt. In a message's text a marker stands where a picture does, so that any
 * template carries it to its place; in the prompt the marker becomes the picture. A marker is drawn at random for each picture:
 * nobody can write one.
 */
import { SecLlamaError, toSecLlamaError } from "../../src/errors.ts";
import type { Engine, Picture, PictureFile, PromptPart } from "../engine/mod.ts";
import type { MediaKind } from "../engine/types.ts";
import { MAX_SECONDS, readSoundHead } from "../engine/vision/sound_format.ts";
import type { InferenceRequest } from "./request.ts";

/** Pictures of one request: each costs seconds. */
export const MAX_PICTURES = 32;

const MARKER = /\[\[picture-\d{30}\]\]/g;

/** A picture as it was sent, with a marker of its own. */
export class SentPicture implements PictureFile {
  readonly marker = `[[picture-${randomDigits()}]]`;

  /** @param field Where it was in the request. */
  constructor(
    readonly bytes: Uint8Array<ArrayBuffer>,
    readonly field: string,
    readonly kind: MediaKind = "picture",
  ) {}

  /** What is remembered is measured as JSON: as many characters as it has bytes. */
  toJSON(): string {
    return " ".repeat(this.bytes.length);
  }
}

function randomDigits(): string {
  const digits = crypto.getRandomValues(new Uint32Array(3));
  return [...digits].map((one) => String(one).padStart(10, "0")).join("");
}

/** The pictures of a request, read; each is let go of when this is disposed of. */
export class Pictures implements Disposable {
  readonly #byMarker: ReadonlyMap<string, Picture>;
  readonly #held: DisposableStack;

  private constructor(byMarker: ReadonlyMap<string, Picture>, held: DisposableStack) {
    this.#byMarker = byMarker;
    this.#held = held;
  }

  /**
   * Reads all pictures of a request, one after another.
   * @throws {SecLlamaError} `bad-request`: there are too many, or one cannot be read; its field is named.
   */
  static async read(
    engine: Engine,
    request: InferenceRequest,
    call: { readonly client: string; readonly signal: AbortSignal },
  ): Promise<Pictures> {
    const files = picturesOf(request);
    if (files.length > MAX_PICTURES) {
      throw new SecLlamaError(
        "bad-request",
        `there are ${files.length} pictures, must be at most ${MAX_PICTURES}`,
        { field: files[MAX_PICTURES]!.field },
      );
    }
    checkSeconds(files);
    const byMarker = new Map<string, Picture>();
    using held = new DisposableStack();
    for (const { marker, bytes, field, kind } of files) {
      if (call.signal.aborted) throw new SecLlamaError("cancelled", "the request was cancelled");
      byMarker.set(marker, held.use(await readOne(engine, bytes, { ...call, field, kind })));
    }
    return new Pictures(byMarker, held.move());
  }

  /** Those that a prompt has: of a conversation that was cut, fewer than all. */
  in(prompt: Int32Array): Picture[] {
    const ids = new Set(prompt.filter((id) => id < 0));
    return [...this.#byMarker.values()].filter(({ chunks }) =>
      chunks.some(({ id }) => ids.has(id))
    );
  }

  /** The parts of a prompt, with pictures in place of their markers. */
  place(parts: PromptPart[]): PromptPart[] {
    return this.#byMarker.size === 0 ? parts : parts.flatMap((part) => this.#placeIn(part));
  }

  #placeIn(part: PromptPart): PromptPart[] {
    const out: PromptPart[] = [];
    let at = 0;
    for (const { 0: marker, index } of part.text.matchAll(MARKER)) {
      const picture = this.#byMarker.get(marker);
      if (picture === undefined) continue;
      if (index > at) out.push({ ...part, text: part.text.slice(at, index) });
      out.push({ text: "", special: true, picture });
      at = index + marker.length;
    }
    if (at === 0) return [part];
    if (at < part.text.length) out.push({ ...part, text: part.text.slice(at) });
    return out;
  }

  [Symbol.dispose](): void {
    this.#held.dispose();
  }
}

/** Sounds of one request count together: each half a minute takes hundreds of tokens. */
function checkSeconds(files: readonly PictureFile[]): void {
  let seconds = 0;
  for (const { bytes, kind, field } of files) {
    const head = kind === "sound" ? readSoundHead(bytes) : undefined;
    // What is none, or too long by itself, is refused where it is read.
    if (typeof head !== "object" || head.seconds > MAX_SECONDS) continue;
    seconds += head.seconds;
    if (seconds > MAX_SECONDS) {
      throw new SecLlamaError(
        "bad-request",
        `the sounds last more than ${MAX_SECONDS} seconds together`,
        { field, hint: "send them in several requests" },
      );
    }
  }
}

async function readOne(
  engine: Engine,
  bytes: Uint8Array<ArrayBuffer>,
  { field, ...o }: { client: string; signal: AbortSignal; field: string; kind: MediaKind },
): Promise<Picture> {
  try {
    return await engine.readPicture(bytes, o);
  } catch (error) {
    const { code, message, hint } = toSecLlamaError(error);
    if (code !== "bad-request") throw error;
    throw new SecLlamaError(code, message, { field, ...(hint && { hint }), cause: error });
  }
}

function picturesOf({ prompt, pictures = [] }: InferenceRequest): readonly PictureFile[] {
  if (prompt.kind !== "chat") return pictures;
  return prompt.messages.flatMap((message) => message.pictures ?? []);
}
