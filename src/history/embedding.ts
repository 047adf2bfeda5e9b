/** The model that makes vectors of the documents' passages: which was chosen, and how far it is. */
import { SecLlamaError } from "../errors.ts";
import type { Database } from "./database.ts";
import type { Documents } from "./documents.ts";
import type { Drawers } from "./drawers.ts";

/** A model that makes vectors of passages. */
export interface EmbeddingModel {
  readonly name: string;
  /** Of its manifest. Another model of that name makes other vectors. */
  readonly digest: string;
}

/** How far the vectors are. */
export interface EmbeddingState {
  readonly chosen: EmbeddingModel | null;
  readonly passages: number;
  readonly embedded: number;
}

/** What vectors there are, and of which model. */
export class Embedding {
  readonly #db: Database;
  readonly #drawers: Drawers;
  readonly #documents: Documents;

  /** Nothing is read yet. */
  constructor(db: Database, drawers: Drawers, documents: Documents) {
    this.#db = db;
    this.#drawers = drawers;
    this.#documents = documents;
  }

  /** The model that was chosen, and how far its vectors are. @throws {SecLlamaError} `decrypt-failed`. */
  async state(): Promise<EmbeddingState> {
    const chosen = this.#chosen() ?? null;
    return { chosen, ...await this.#documents.embedded(chosen?.digest) };
  }

  /** Names another model; null: none, and the vectors that there are end. @throws {SecLlamaError} `history-busy`. */
  choose(chosen: EmbeddingModel | null): void {
    this.#db.transaction(() => {
      this.#drawers.write("embedding", chosen);
      if (chosen === null) this.#documents.deleteVectors();
    });
    if (chosen === null) this.#db.forget();
  }

  /** As Documents.addVectors. @throws {SecLlamaError} `not-found` also for a model that is no longer the chosen one. */
  addVectors(...made: Parameters<Documents["addVectors"]>): void {
    const chosen = this.#chosen();
    if (chosen !== undefined && chosen?.digest !== made[1]) {
      throw new SecLlamaError("not-found", "another model for embeddings was named, or none");
    }
    this.#documents.addVectors(...made);
  }

  /** null: none, by choice; undefined: nobody chose. */
  #chosen(): EmbeddingModel | null | undefined {
    return this.#drawers.read("embedding") as EmbeddingModel | null | undefined;
  }
}
