/** What a client says and keeps of an exchange's receipt. */
import {
  readReceiptSecret,
  RECEIPT_HEADER,
  RECEIPT_SECRET_HEADER,
  receiptIdInput,
  receiptIdOf,
} from "../api/receipt.ts";

/** The headers by which the caller finds the receipt of an answer later. @param secret What was sealed; undefined: none is wanted. */
export async function receiptHeaders(secret: string | undefined): Promise<Record<string, string>> {
  const bytes = secret === undefined ? undefined : readReceiptSecret(secret);
  if (bytes === undefined) return {};
  const hash = await crypto.subtle.digest("SHA-256", receiptIdInput(bytes));
  return {
    [RECEIPT_HEADER]: receiptIdOf(new Uint8Array(hash)),
    [RECEIPT_SECRET_HEADER]: secret!,
  };
}
