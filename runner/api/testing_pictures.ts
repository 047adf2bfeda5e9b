/** Pictures for tests, and the words of the dialects around them. */

/** A model that sees. */
export const SEES = { info: { capabilities: ["completion", "vision"] } };
/** Two pictures, as the engine is given them. */
export const [A, B] = [Uint8Array.of(1, 2, 3, 250), Uint8Array.of(9)];
/** The same, as clients send them. */
export const [a, b] = [A.toBase64(), B.toBase64()];
export const url = (base64: string, type = "image/png") => `data:${type};base64,${base64}`;
/** As Anthropic's clients send one. */
export const block = (data: string) => ({
  type: "image",
  source: { type: "base64", media_type: "image/png", data },
});

export const user = (...content: unknown[]) => ({
  messages: [{ role: "user", content }],
  max_tokens: 5,
});
export const text = (text: string) => ({ type: "text", text });

/** A question of Ollama's with pictures. */
export const chatted = (images: unknown) => ({
  messages: [{ role: "user", content: "?", images }],
});

/** Begins like a picture, and is none that can be read. */
export const WEBP = new TextEncoder().encode("RIFF\x10\0\0\0WEBPVP8 ").toBase64();

/** A turn of before with the picture, or a tool's result, and a new question: nobody can take the picture back. */
export const before = {
  chat: (part: unknown) => ({
    messages: [
      { role: "user", content: [part] },
      { role: "assistant", content: "Hm." },
      { role: "user", content: "and now?" },
    ],
  }),
  ollama: (images: unknown) => ({
    messages: [
      { role: "user", content: "?", images },
      { role: "assistant", content: "Hm." },
      { role: "user", content: "and now?" },
    ],
  }),
  result: (part: unknown) => ({
    max_tokens: 5,
    messages: [
      { role: "user", content: "look" },
      { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "look", input: {} }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: [part] }] },
    ],
  }),
  responses: (part: unknown) => ({
    input: [
      { role: "user", content: [part] },
      { role: "assistant", content: "Hm." },
      { role: "user", content: "and now?" },
    ],
  }),
};
