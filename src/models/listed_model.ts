/** A row of the list of models: what is known of one, or why it cannot be used. */
import { SecLlamaError } from "../errors.ts";
import type { ModelDetails } from "./describe.ts";
import type { ModelSource, ResolvedModel } from "./folder.ts";

/** A row of the list. `details` is missing, and `problem` says why, when the model cannot be used. */
export type ListedModel =
  & ListedFile
  & (
    | { readonly details: ModelDetails; readonly problem?: never }
    | { readonly problem: SecLlamaError; readonly details?: never }
  );

interface ListedFile {
  readonly name: string;
  readonly source: ModelSource;
  /** As in {@link ResolvedModel}; empty if the manifest cannot be read. */
  readonly digest: string;
  readonly manifestDigest: string;
  /** Of all parts. */
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/** The row of a model. @param details As ModelStore.details. */
export async function listedModel(
  from: Pick<ListedFile, "name" | "source">,
  resolve: () => Promise<ResolvedModel>,
  details: (model: ResolvedModel) => Promise<ModelDetails>,
): Promise<ListedModel> {
  let row: ListedFile = {
    ...from,
    digest: "",
    manifestDigest: "",
    sizeBytes: 0,
    modifiedAt: new Date(0),
  };
  try {
    const model = await resolve();
    const { digest, manifestDigest, modifiedAt } = model;
    const sizeBytes = model.manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
    row = { ...row, digest, manifestDigest, modifiedAt, sizeBytes };
    return { ...row, details: await details(model) };
  } catch (error) {
    if (!(error instanceof SecLlamaError)) throw error;
    return { ...row, problem: error };
  }
}
