/** What an engine of somebody else's says instead of a reply, in the words that clients know. */
import { SecLlamaError } from "../../../src/errors.ts";

/** An answer that is none. Its words may be the prompt's, so that only its status is told. */
export async function refusal(
  kind: string,
  status: number,
  body: AsyncIterable<Uint8Array>,
): Promise<SecLlamaError> {
  for await (const _ of body);
  return status >= 400 && status < 500
    ? new SecLlamaError("bad-request", `${kind} refused the request with status ${status}`, {
      hint: "to see what works through it: secllama help engines",
    })
    : new SecLlamaError("model-failed", `${kind} failed with status ${status}`);
}

/** The engine ends a reply that it has begun. Its own words may hold some of the reply. */
export function givenUp(kind: string, error: unknown): SecLlamaError {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : 0;
  const number = typeof code === "number" ? `, with error ${code}` : "";
  return new SecLlamaError("model-failed", `${kind} gave the reply up in its middle${number}`, {
    hint: "ask again; what makes it do so: secllama help engines",
  });
}
