/** The pages of docs/ that the program carries: `secllama help TOPIC`. An error that needs more words than a hint names one. */

/** A page, with what `secllama help` says of it. */
export interface Topic {
  readonly summary: string;
  /** Its file in docs/. */
  readonly page: string;
  /** The text, as Markdown. */
  readonly read: () => Promise<{ default: string }>;
}

/** By name. Each is imported by a literal path, so that whoever bundles the program takes it along. */
export const TOPICS: { readonly [name: string]: Topic } = {
  keys: {
    summary: "where a key comes from, without a desktop too",
    page: "keys.md",
    read: () => import("../../docs/keys.md", { with: { type: "text" } }),
  },
  page: {
    summary: "the page to type in, and what protects it",
    page: "page.md",
    read: () => import("../../docs/page.md", { with: { type: "text" } }),
  },
  history: {
    summary: "conversations that are kept, sealed",
    page: "history.md",
    read: () => import("../../docs/history.md", { with: { type: "text" } }),
  },
  documents: {
    summary: "answers with file and page, from files that stay here",
    page: "documents.md",
    read: () => import("../../docs/documents.md", { with: { type: "text" } }),
  },
  remote: {
    summary: "from another machine: pairing, TLS, day to day",
    page: "remote.md",
    read: () => import("../../docs/remote.md", { with: { type: "text" } }),
  },
  fleet: {
    summary: "more than one host: issuer, hosts, balancers",
    page: "fleet.md",
    read: () => import("../../docs/fleet.md", { with: { type: "text" } }),
  },
  ci: {
    summary: "in a pipeline",
    page: "ci.md",
    read: () => import("../../docs/ci.md", { with: { type: "text" } }),
  },
  containers: {
    summary: "in Docker and Podman, and what the sandbox is worth there",
    page: "containers.md",
    read: () => import("../../docs/containers.md", { with: { type: "text" } }),
  },
  upgrade: {
    summary: "another version, a way back, a machine installed anew",
    page: "upgrade.md",
    read: () => import("../../docs/upgrade.md", { with: { type: "text" } }),
  },
  install: {
    summary: "on a host for many: service, packages, users",
    page: "install.md",
    read: () => import("../../docs/install.md", { with: { type: "text" } }),
  },
  firm: {
    summary: "tokens for programs; who did what: the audit log, and that it is whole",
    page: "firm.md",
    read: () => import("../../docs/firm.md", { with: { type: "text" } }),
  },
  compliance: {
    summary: "which control is met by which command, and what is not covered",
    page: "compliance.md",
    read: () => import("../../docs/compliance.md", { with: { type: "text" } }),
  },
  ollama: {
    summary: "coming from Ollama",
    page: "from-ollama.md",
    read: () => import("../../docs/from-ollama.md", { with: { type: "text" } }),
  },
  agents: {
    summary: "coding agents: launch, and what was run",
    page: "agents.md",
    read: () => import("../../docs/agents.md", { with: { type: "text" } }),
  },
  models: {
    summary: "import, pull, create; Modelfiles",
    page: "models.md",
    read: () => import("../../docs/models.md", { with: { type: "text" } }),
  },
  scheduling: {
    summary: "which models are loaded, and who waits",
    page: "scheduling.md",
    read: () => import("../../docs/scheduling.md", { with: { type: "text" } }),
  },
  isolation: {
    summary: "how a runner starts, and what to do when it does not",
    page: "sandbox.md",
    read: () => import("../../docs/sandbox.md", { with: { type: "text" } }),
  },
  verdicts: {
    summary: "what doctor judges, its exit codes and its JSON",
    page: "doctor.md",
    read: () => import("../../docs/doctor.md", { with: { type: "text" } }),
  },
  gpu: {
    summary: "GPUs inside the sandbox",
    page: "gpu.md",
    read: () => import("../../docs/gpu.md", { with: { type: "text" } }),
  },
  engines: {
    summary: "llama-server or vLLM in the own engine's place",
    page: "engines.md",
    read: () => import("../../docs/engines.md", { with: { type: "text" } }),
  },
  api: {
    summary: "paths, fields and errors of the three APIs",
    page: "api.md",
    read: () => import("../../docs/api.md", { with: { type: "text" } }),
  },
};
