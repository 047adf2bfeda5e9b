/** What an exchange's line says for its client's receipt: MACs of the two bodies, under a secret that the host never sees. */
import { readReceiptSecret } from "../src/api/receipt.ts";
import { receiptId, receiptMac } from "../src/api/receipt_mac.ts";
import type { Bytes } from "../src/bytes.ts";
import { SecLlamaError } from "../src/errors.ts";

/** As the gateway is told it: all in hexadecimal. */
export interface ReceiptWord {
  readonly id: string;
  readonly request: string;
  readonly reply: string;
}

/** One exchange whose client wants a receipt. */
export class Receipted {
  readonly #id: string;
  readonly #request: string;
  readonly #reply: ReturnType<typeof receiptMac>;

  private constructor(secret: Bytes, body: Uint8Array) {
    this.#id = receiptId(secret);
    const request = receiptMac(secret, "request");
    request.update(body);
    this.#request = request.digest();
    this.#reply = receiptMac(secret, "reply");
  }

  /** @param wanted The header; undefined: no receipt is wanted. @throws {SecLlamaError} `bad-request` for what is no secret. */
  static of(wanted: string | undefined, body: Uint8Array): Receipted | undefined {
    if (wanted === undefined) return undefined;
    const secret = readReceiptSecret(wanted);
    if (secret !== undefined) return new Receipted(secret, body);
    throw new SecLlamaError("bad-request", "Secllama-Receipt must be 32 bytes in base64url", {
      field: "Secllama-Receipt",
    });
  }

  /** The same response. `told` is called when its body has ended as it should, before its reader sees the end. */
  watch(response: Response, told: (word: ReceiptWord) => void): Response {
    const reader = response.body?.getReader();
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const next = await reader?.read();
        if (next?.value !== undefined) {
          this.#reply.update(next.value);
          return controller.enqueue(next.value);
        }
        told({ id: this.#id, request: this.#request, reply: this.#reply.digest() });
        controller.close();
      },
      cancel: (reason) => reader?.cancel(reason),
    }, { highWaterMark: 0 });
    return new Response(body, { status: response.status, headers: response.headers });
  }
}
