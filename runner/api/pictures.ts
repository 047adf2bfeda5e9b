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

/** What to do with too many. */
export const SEVERAL_HINT = "send them in several requests";

const MARKER = /\[\[picture-\d{30}\]\]/g;

/** A picture as it was sent, with a marker of its own. */
export class SentPicture implements PictureFile {
  readonly marker = `[[picture-${randomDigits()}]]`;

  readonly kind: MediaKind;
  /** Nobody can take it back: where it cannot be read, a text stands for it. */
  readonly past: boolean;

  /** @param field Where it was in the request. */
  constructor(
    readonly bytes: Uint8Array<ArrayBuffer>,
    readonly field: string,
    { kind = "picture", past = false }: { kind?: MediaKind; past?: boolean } = {},
  ) {
    this.kind = kind;
    this.past = past;
  }

  /** What is remembered is measured as JSON: as many characters as it has bytes. */
  toJSON(): string {
    return " ".repeat(this.bytes.length);
  }
}

/** What the model reads in place of one that cannot be read. */
export function unreadable(kind: MediaKind): string {
  return `[a ${kind} was left out: it cannot be read]`;
}

function randomDigits(): string {
  const digits = crypto.getRandomValues(new Uint32Array(3));
  return [...digits].map((one) => String(one).padStart(10, "0")).join("");
}

/** The pictures of a request, read; each is let go of when this is disposed of. */
export class Pictures implements Disposable {
  /** A text: it could not be read. */
  readonly #byMarker: ReadonlyMap<string, Picture | string>;
  readonly #held: DisposableStack;

  private constructor(byMarker: ReadonlyMap<string, Picture | string>, held: DisposableStack) {
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
    const all = picturesOf(request);
    const files = newest(all);
    const byMarker = new Map<string, Picture | string>(
      all.map(({ marker, kind }) => [marker, `[a ${kind} was left out: there are later ones]`]),
    );
    using held = new DisposableStack();
    const sent = files.filter(({ past }) => !past);
    for (const file of files) {
      const { marker, bytes, field, kind, past } = file;
      if (call.signal.aborted) throw new SecLlamaError("cancelled", "the request was cancelled");
      try {
        byMarker.set(
          marker,
          held.use(
            await readOne(engine, bytes, {
              ...call,
              field,
              kind,
              place: [sent.indexOf(file) + 1, sent.length],
            }),
          ),
        );
      } catch (error) {
        if (!past || toSecLlamaError(error).code !== "bad-request") throw error;
        byMarker.set(marker, unreadable(kind));
      }
    }
    return new Pictures(byMarker, held.move());
  }

  /** Those that a prompt has: of a conversation that was cut, fewer than all. */
  in(prompt: Int32Array): Picture[] {
    const ids = new Set(prompt.filter((id) => id < 0));
    return [...this.#byMarker.values()].filter((one) => typeof one !== "string")
      .filter(({ chunks }) => chunks.some(({ id }) => ids.has(id)));
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
      if (typeof picture === "string") out.push({ ...part, text: picture });
      else out.push({ text: "", special: true, picture });
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

/**
 * As many as a request may have: of those that nobody can take back the newest.
 * @throws {SecLlamaError} `bad-request`: there are more of the others, or their sounds last too long.
 */
function newest(all: readonly PictureFile[]): readonly PictureFile[] {
  const sent = all.filter(({ past }) => !past);
  if (sent.length > MAX_PICTURES) {
    throw new SecLlamaError(
      "bad-request",
      `there are ${sent.length} pictures, must be at most ${MAX_PICTURES}`,
      { field: sent[MAX_PICTURES]!.field, hint: SEVERAL_HINT },
    );
  }
  let seconds = 0;
  for (const file of sent) {
    seconds += secondsOf(file);
    if (seconds > MAX_SECONDS) {
      throw new SecLlamaError(
        "bad-request",
        `the sounds last more than ${MAX_SECONDS} seconds together`,
        { field: file.field, hint: SEVERAL_HINT },
      );
    }
  }
  const kept = new Set(sent);
  for (const file of all.filter(({ past }) => past).reverse()) {
    if (kept.size === MAX_PICTURES) break;
    const more = secondsOf(file);
    if (seconds + more > MAX_SECONDS) continue;
    seconds += more;
    kept.add(file);
  }
  return all.filter((one) => kept.has(one));
}

/** Sounds of one request count together: each half a minute takes hundreds of tokens. */
function secondsOf({ bytes, kind }: PictureFile): number {
  const head = kind === "sound" ? readSoundHead(bytes) : undefined;
  // What is none, or too long by itself, is refused where it is read.
  return typeof head !== "object" || head.seconds > MAX_SECONDS ? 0 : head.seconds;
}

async function readOne(
  engine: Engine,
  bytes: Uint8Array<ArrayBuffer>,
  { field, place: [at, of], ...o }: {
    client: string;
    signal: AbortSignal;
    field: string;
    kind: MediaKind;
    /** The how manieth it is of those that are sent now, and how many they are. */
    place: readonly [number, number];
  },
): Promise<Picture> {
  try {
    return await engine.readPicture(bytes, o);
  } catch (error) {
    const { code, message, hint } = toSecLlamaError(error);
    if (code !== "bad-request") throw error;
    // Of several the one is named: not every dialect has a place for its field.
    const named = of < 2 ? message : `file ${at} of ${of}: ${message}`;
    throw new SecLlamaError(code, named, { field, ...(hint && { hint }), cause: error });
  }
}

/** Those of its prompt, whatever that is. */
export function picturesOf({ prompt, pictures = [] }: InferenceRequest): readonly PictureFile[] {
  if (prompt.kind !== "chat") return pictures;
  return prompt.messages.flatMap((message) => message.pictures ?? []);
}
