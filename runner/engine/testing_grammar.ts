/** For tests: whether a grammar, as llama.cpp reads it, takes a text. */
import { cString } from "./c_string.ts";
import { openLibrary } from "./library.ts";
import { loadModel } from "./model.ts";
import { Candidates } from "./sampler.ts";
import { libraryFolder } from "./testing.ts";

export class GrammarProbe {
  readonly #library = openLibrary(libraryFolder(), { verify: false });
  readonly #model;
  readonly #candidates;

  constructor(modelPath: string) {
    this.#model = loadModel(this.#library, modelPath, { gpuLayers: 0 });
    this.#candidates = new Candidates(this.#model.vocabulary.size);
  }

  /** @returns Whether the grammar takes the whole text; `undefined` if it is no grammar. */
  accepts(grammar: string, text: string): boolean | undefined {
    const { llama } = this.#library;
    const { vocabularyPointer, vocabulary } = this.#model;
    // SentencePiece puts a space in front of what it tokenizes.
    const lenient = grammar.replace(/^root ::=/m, 'root ::= " "? start\nstart ::=');
    const sampler = llama.llama_sampler_init_grammar(
      vocabularyPointer,
      cString(lenient),
      cString("root"),
    );
    if (sampler === null) return undefined;
    const permits = (token: number) => {
      this.#candidates.one(token);
      llama.llama_sampler_apply(sampler, this.#candidates.array);
      return this.#candidates.logits[1] !== -Infinity;
    };
    try {
      for (const token of vocabulary.tokenize(text, { special: false })) {
        if (!permits(token)) return false;
        llama.llama_sampler_accept(sampler, token);
      }
      return permits(vocabulary.eos);
    } finally {
      llama.llama_sampler_free(sampler);
    }
  }

  /** Milliseconds to test the whole vocabulary after `text`. */
  cost(grammar: string, text: string): number {
    const { llama } = this.#library;
    const { vocabularyPointer, vocabulary } = this.#model;
    const sampler = llama.llama_sampler_init_grammar(
      vocabularyPointer,
      cString(grammar),
      cString("root"),
    );
    for (const token of vocabulary.tokenize(text, { special: false })) {
      llama.llama_sampler_accept(sampler, token);
    }
    this.#candidates.fill(new Float32Array(vocabulary.size));
    const started = performance.now();
    llama.llama_sampler_apply(sampler, this.#candidates.array);
    const ms = performance.now() - started;
    llama.llama_sampler_free(sampler);
    return ms;
  }

  free(): void {
    this.#library.llama.llama_model_free(this.#model.pointer);
  }
}
