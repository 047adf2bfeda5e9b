/** Opens a PDF by pdf.js, in a thread without any permission. */
import { getDocumentProxy } from "unpdf";

/** An open file. */
export type Pdf = Awaited<ReturnType<typeof getDocumentProxy>>;

/**
 * @param bytes Taken over.
 * @param more Options of pdf.js's for this one.
 * @throws {RangeError} If it wants a password; what pdf.js throws for what is no PDF.
 */
export async function openPdf(
  bytes: Uint8Array,
  more: Parameters<typeof getDocumentProxy>[1] = {},
): Promise<Pdf> {
  try {
    return await getDocumentProxy(bytes, {
      disableFontFace: true,
      useSystemFonts: false,
      verbosity: 0,
      ...more,
    });
  } catch (error) {
    if (Object(error).name !== "PasswordException") throw error;
    throw new RangeError("it wants a password", { cause: error });
  }
}
