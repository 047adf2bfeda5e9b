/** The hashes of a receipt (receipt.ts), where the runtime has them synchronously. */
import { createHash, createHmac } from "node:crypto";
import { utf8 } from "../bytes.ts";
import { receiptIdInput, receiptIdOf } from "./receipt.ts";

/** The id under which the host has the receipt, hexadecimal. */
export function receiptId(secret: Uint8Array): string {
  return receiptIdOf(createHash("sha256").update(receiptIdInput(secret)).digest());
}

/** Takes a body's pieces; `digest` is the MAC, hexadecimal. */
export function receiptMac(
  secret: Uint8Array,
  of: "request" | "reply",
): { update(piece: Uint8Array): void; digest(): string } {
  const mac = createHmac("sha256", secret).update(utf8(`${of}\0`));
  return { update: (piece) => void mac.update(piece), digest: () => mac.digest("hex") };
}
