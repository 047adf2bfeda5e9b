/** The engines of others that a runner can speak to, and that have a policy: `sandbox-profiles/linux-engine.json`. */

/** One, by the name of its program. */
export type EngineKind = "llama-server" | "vllm";

/** All of them. */
export const ENGINE_KINDS: readonly EngineKind[] = ["llama-server", "vllm"];
