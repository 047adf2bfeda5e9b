/**
 * The projector of a model that sees or hears: llama.cpp's multimodal library, opened beside `libllama`, and the file with the encoder's
 * weights. Like the model it is loaded once, before the process gives up the right to open anything more.
 *
 * Pictures and sounds are strangers' input to decoders written in C: format and size are looked at here first, and what a decoder
 * does beyond that happens in the sandbox of this one model. All that is said of pictures is true of sounds.
 */
import { SecLlamaError } from "../../../src/errors.ts";
import { cString } from "../c_string.ts";
import { failure } from "../context.ts";
import { checkLayout, VISION_PARAMS, writeField } from "../layout.ts";
import type { Library } from "../library.ts";
import { TaskCircle } from "../task_circle.ts";
import type { EngineOptions, MediaKind } from "../types.ts";
import { broken, checkData, checkKind, checkMedia, tooShort } from "./check_media.ts";
import { forDecoder } from "./for_decoder.ts";
import { Picture, type PictureChunk } from "./picture.ts";
import { MIN_SECONDS } from "./sound_format.ts";
import { readOrientation } from "./orientation.ts";
import { CHUNK, HELPER_OPTIONS_BYTES, VISION_SYMBOLS, type VisionSymbols } from "./symbols.ts";

type Pointer = Deno.PointerValue;

/** What the library replaces by the picture; the whole text that it is given. Native code keeps the address. */
const MARKER = rooted(cString("<__media__>"));
/** `struct mtmd_helper_init_opt`, of video only. Native code reads it in a thread. */
const NO_OPTIONS = rooted(new Uint8Array(HELPER_OPTIONS_BYTES));
/** Pictures whose ids are remembered, so that a conversation's next turn finds its cells again. */
const REMEMBERED = 1024;

interface VisionOptions {
  readonly library: Library;
  readonly model: Pointer;
  /** Path of `libmtmd`. */
  readonly libraryPath: string;
  readonly projectorPath: string;
  readonly threads: number;
  readonly gpu: boolean;
  /** Tokens that one decode takes: a picture that is read all at once must fit. */
  readonly batchSize: number;
}

export class Vision {
  readonly #mtmd: VisionSymbols;
  readonly #context: Pointer;
  readonly #batchSize: number;
  /** What the projector is for. */
  readonly sees: boolean;
  readonly hears: boolean;
  /** What native code reads in a thread now: nothing else may hold it, and a collection would take it away. */
  readonly #rooted = new Set<Uint8Array>();
  /** Client, digest and piece → id. */
  readonly #ids = new Map<string, number>();
  #nextId = -2;
  /** Pictures that wait to be decoded: one at a time, for it takes hundreds of megabytes, and each client's in turn. */
  readonly #waiting = new TaskCircle();
  /** Settles when nothing waits any more. */
  #working: Promise<void> | undefined;
  #closed = false;

  private constructor(mtmd: VisionSymbols, context: Pointer, batchSize: number) {
    this.#mtmd = mtmd;
    this.#context = context;
    this.#batchSize = batchSize;
    this.sees = mtmd.mtmd_support_vision(context);
    this.hears = mtmd.mtmd_support_audio(context);
  }

  /**
   * Opens the library and the projector, and runs a first picture through it.
   * @throws {SecLlamaError} `model-failed`: the library is missing or another, or llama.cpp's reason why it refuses the projector.
   */
  static open(o: VisionOptions): Vision {
    let mtmd: VisionSymbols;
    try {
      mtmd = Deno.dlopen(o.libraryPath, VISION_SYMBOLS).symbols;
    } catch (cause) {
      throw new SecLlamaError("model-failed", "the library for pictures could not be loaded", {
        hint: "build it again: deno task vision",
        cause,
      });
    }
    const defaults = mtmd.mtmd_context_params_default();
    writeField(defaults, VISION_PARAMS.fields.media_marker, 0);
    checkLayout(VISION_PARAMS, defaults);
    const params = defaults.slice(0, VISION_PARAMS.size);
    const { fields } = VISION_PARAMS;
    writeField(params, fields.use_gpu, o.gpu ? 1 : 0);
    writeField(params, fields.print_timings, 0);
    writeField(params, fields.n_threads, o.threads);
    writeField(params, fields.media_marker, addressOf(MARKER));
    const { result, errors } = o.library.collectErrors(
      () => mtmd.mtmd_init_from_file(cString(o.projectorPath), o.model, params),
      mtmd.mtmd_helper_log_set,
    );
    if (result === null) throw failure("the projector could not be loaded", errors);
    const vision = new Vision(mtmd, result, o.batchSize);
    if (!vision.sees && !vision.hears) {
      mtmd.mtmd_free(result);
      throw new SecLlamaError("bad-model", "its projector is not one for pictures or sound");
    }
    return vision;
  }

  /**
   * Decodes and scales a picture, or decodes a sound, in a thread.
   * @param bytes A PNG, JPEG, GIF (its first frame) or BMP file; of a sound a WAV or MP3 file.
   * @param o.kind Which of them it must be; default: a picture.
   * @param o.client Whose it is: nobody else finds it in the cache.
   * @param o.signal Aborted: one that waits is given up.
   * @throws {SecLlamaError} `bad-request`: it is no such file, is broken, or has too many pixels; `cancelled`.
   */
  async prepare(
    bytes: Uint8Array<ArrayBuffer>,
    { client, signal, kind = "picture" }: {
      readonly client: string;
      readonly signal?: AbortSignal;
      readonly kind?: MediaKind;
    },
  ): Promise<Picture> {
    checkKind(kind, this);
    checkMedia(bytes, kind);
    return await new Promise((resolve, reject) => {
      this.#waiting.add(client, async () => {
        if (this.#closed || signal?.aborted) {
          return reject(new SecLlamaError("cancelled", "the request was cancelled"));
        }
        await this.#prepare(bytes, client, kind).then(resolve, reject);
      });
      this.#working ??= this.#work();
    });
  }

  async #work(): Promise<void> {
    for (let task = this.#waiting.next(); task; task = this.#waiting.next()) await task();
    this.#working = undefined;
  }

  /** Frees the projector, when no other thread reads it. Nothing may be begun any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
    this.#mtmd.mtmd_free(this.#context);
  }

  async #prepare(
    bytes: Uint8Array<ArrayBuffer>,
    client: string,
    kind: MediaKind,
  ): Promise<Picture> {
    const mtmd = this.#mtmd;
    await checkData(bytes);
    const digest = await digestOf(bytes);
    using rooted = this.#keep();
    const file = rooted.add(forDecoder(bytes, kind));
    const bitmap = await (kind === "sound" ? this.#sound(file) : this.#picture(file));
    if (bitmap === null) throw broken("it cannot be decoded", {}, kind);
    const chunks = mtmd.mtmd_input_chunks_init();
    try {
      const list = rooted.add(pointerTo(bitmap));
      const text = rooted.add(inputText());
      const status = await mtmd.mtmd_tokenize_in_thread(this.#context, chunks, text, list, 1n);
      if (status !== 0) throw broken("it cannot be scaled", {}, kind);
      return this.#read(chunks, `${client}\n${digest}`);
    } catch (error) {
      mtmd.mtmd_input_chunks_free(chunks);
      throw error;
    } finally {
      mtmd.mtmd_bitmap_free(bitmap);
    }
  }

  #picture(bytes: Uint8Array<ArrayBuffer>): Promise<Pointer> {
    const length = BigInt(bytes.length);
    return this.#mtmd.secllama_picture_in_thread(bytes, length, readOrientation(bytes));
  }

  async #sound(bytes: Uint8Array<ArrayBuffer>): Promise<Pointer> {
    const wrapper = await this.#mtmd.mtmd_helper_bitmap_init_from_buf_in_thread(
      this.#context,
      bytes,
      BigInt(bytes.length),
      false,
      NO_OPTIONS,
    );
    const [address] = new BigUint64Array(wrapper.slice().buffer);
    const bitmap = Deno.UnsafePointer.create(address!);
    if (bitmap === null) return null;
    // What a decoder makes of some frames is less than their number says.
    const samples = this.#mtmd.mtmd_bitmap_get_nx(bitmap);
    if (samples >= MIN_SECONDS * this.#mtmd.mtmd_get_audio_sample_rate(this.#context)) {
      return bitmap;
    }
    this.#mtmd.mtmd_bitmap_free(bitmap);
    throw tooShort();
  }

  /** Keeps what is added to it from being collected until it is disposed of. */
  #keep() {
    const all: Uint8Array[] = [];
    return {
      add: (one: Uint8Array<ArrayBuffer>) => {
        this.#rooted.add(one);
        all.push(one);
        return one;
      },
      [Symbol.dispose]: () => {
        for (const one of all) this.#rooted.delete(one);
      },
    };
  }

  #read(list: Pointer, name: string): Picture {
    const mtmd = this.#mtmd;
    const tokens: number[] = [];
    const pieces: PictureChunk[] = [];
    const count = Number(mtmd.mtmd_input_chunks_size(list));
    for (let index = 0; index < count; index++) {
      const pointer = mtmd.mtmd_input_chunks_get(list, BigInt(index));
      const type = mtmd.mtmd_input_chunk_get_type(pointer);
      if (type === CHUNK.text) {
        // One by one: as arguments, those of a long context would be more than a stack holds.
        for (const token of this.#textTokens(pointer)) tokens.push(token);
      } else {
        const cells = Number(mtmd.mtmd_input_chunk_get_n_tokens(pointer));
        if (cells > this.#batchSize && mtmd.mtmd_decode_use_non_causal(this.#context, pointer)) {
          throw new SecLlamaError(
            "model-failed",
            `a picture takes ${cells} tokens of this model, more than the ${this.#batchSize} of a batch`,
          );
        }
        const id = this.#id(`${name}\n${index}`);
        const positions = mtmd.mtmd_input_chunk_get_n_pos(pointer);
        pieces.push({ id, pointer, cells, positions });
        for (let cell = 0; cell < cells; cell++) tokens.push(id);
      }
    }
    if (pieces.length === 0) throw broken("nothing is left of it");
    return new Picture({
      tokens: Int32Array.from(tokens),
      chunks: pieces,
      free: () => mtmd.mtmd_input_chunks_free(list),
    });
  }

  #textTokens(chunk: Pointer): Int32Array {
    const size = new BigUint64Array(1);
    const bytes = new Uint8Array(size.buffer);
    const pointer = this.#mtmd.mtmd_input_chunk_get_tokens_text(chunk, bytes);
    if (pointer === null) return new Int32Array();
    return new Int32Array(
      Deno.UnsafePointerView.getArrayBuffer(pointer, 4 * Number(size[0])).slice(0),
    );
  }

  #id(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) {
      // Moved to the end: the first is forgotten first.
      this.#ids.delete(name);
      this.#ids.set(name, known);
      return known;
    }
    const id = this.#nextId--;
    this.#ids.set(name, id);
    if (this.#ids.size > REMEMBERED) {
      const [oldest] = this.#ids.keys();
      this.#ids.delete(oldest!);
    }
    return id;
  }

  /**
   * Runs a piece through the encoder and the model, for a sequence of the cache. Only between two steps of the engine.
   * @returns 0, or llama.cpp's status.
   */
  async decode(
    context: Pointer,
    chunk: PictureChunk,
    o: { position: number; sequence: number },
  ): Promise<number> {
    const mtmd = this.#mtmd;
    const status = await mtmd.mtmd_encode_chunk_in_thread(this.#context, chunk.pointer);
    if (status !== 0) return status;
    using rooted = this.#keep();
    return await mtmd.mtmd_helper_decode_image_chunk_in_thread(
      this.#context,
      context,
      chunk.pointer,
      mtmd.mtmd_get_output_embd(this.#context),
      o.position,
      o.sequence,
      this.#batchSize,
      rooted.add(new Uint8Array(new ArrayBuffer(4))), // the position behind it, which the chunk tells too
      null,
      null,
    );
  }
}

/** Opens it as {@link EngineOptions.vision} says. @returns undefined: it was refused, and who wants to know was told. */
export function openVision(
  { onRefused, ...paths }: NonNullable<EngineOptions["vision"]>,
  o: Omit<VisionOptions, "libraryPath" | "projectorPath">,
): Vision | undefined {
  try {
    return Vision.open({ ...o, ...paths });
  } catch (error) {
    if (onRefused === undefined) throw error;
    onRefused(error);
    return undefined;
  }
}

/** `struct mtmd_input_text`: control tokens around the picture are wanted, those at the ends of a text are not. */
function inputText(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(24));
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, addressOf(MARKER), true);
  view.setBigUint64(8, BigInt(MARKER.length - 1), true);
  view.setUint8(17, 1);
  return bytes;
}

/** An array of one pointer. */
function pointerTo(pointer: Pointer): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(8));
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Deno.UnsafePointer.value(pointer)), true);
  return bytes;
}

/** The same bytes in memory that no collection moves: V8 keeps small arrays inside its heap. */
function rooted(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

function addressOf(view: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(view)));
}

async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
