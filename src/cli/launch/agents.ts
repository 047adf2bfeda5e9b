/**
 * How each agent is told to use SecLlama: by its environment, its arguments and files in a folder that lasts for one start, so
 * that nothing of the user's own configuration is written or lost. Each was run as it is in tests/clients/agents_test.ts.
 */

/** What an agent is to use. */
export interface Target {
  /** Of the proxy: `http://127.0.0.1:11434`. */
  readonly url: string;
  readonly model: string;
  /** Tokens that a conversation may have. */
  readonly contextLength: number;
  /** Where {@link Setup.files} will be. */
  readonly folder: string;
}

/** What a start of an agent takes. */
export interface Setup {
  readonly env: Readonly<Record<string, string>>;
  /** Before the user's own. */
  readonly args: readonly string[];
  /** By name, for agents that take a provider from a file only. They are gone when the agent ends. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Agent {
  /** Its program. */
  readonly program: string;
  /** Its package of npm. */
  readonly package: string;
  readonly title: string;
  /** Variables that would lead it elsewhere, or send a real key along. */
  readonly without: readonly string[];
  setup(target: Target): Setup;
}

/** What agents want as a key, and nobody looks at: loopback needs none. */
const NO_KEY = "secllama";

const claude: Agent = {
  program: "claude",
  package: "@anthropic-ai/claude-code",
  title: "Claude Code",
  without: ["ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"],
  setup: ({ url, model, contextLength }) => ({
    env: {
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_AUTH_TOKEN: NO_KEY,
      ANTHROPIC_MODEL: model,
      ANTHROPIC_SMALL_FAST_MODEL: model,
      ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
      ANTHROPIC_DEFAULT_SONNET_MODEL: model,
      ANTHROPIC_DEFAULT_OPUS_MODEL: model,
      CLAUDE_CODE_SUBAGENT_MODEL: model,
      CLAUDE_CODE_MAX_CONTEXT_TOKENS: String(contextLength),
      // Tools found by a search come as blocks that only Anthropic's models know.
      ENABLE_TOOL_SEARCH: "false",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
    },
    args: [],
  }),
};

const codex: Agent = {
  program: "codex",
  package: "@openai/codex",
  title: "Codex CLI",
  without: ["OPENAI_API_KEY", "CODEX_API_KEY", "OPENAI_BASE_URL"],
  setup: ({ url, model, contextLength }) => ({
    env: {},
    // Values are TOML, in which these are written as in JSON.
    args: Object.entries({
      model: JSON.stringify(model),
      model_provider: '"secllama"',
      "model_providers.secllama": `{ name = "SecLlama", base_url = ${
        JSON.stringify(`${url}/v1`)
      }, wire_api = "responses" }`,
      model_context_window: String(contextLength),
      "analytics.enabled": "false",
      "feedback.enabled": "false",
      check_for_update_on_startup: "false",
      web_search: '"disabled"',
    }).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
  }),
};

const opencode: Agent = {
  program: "opencode",
  package: "opencode-ai",
  title: "opencode",
  without: [],
  setup: ({ url, model, contextLength }) => ({
    env: {
      OPENCODE_CONFIG_CONTENT: JSON.stringify({
        provider: {
          secllama: {
            npm: "@ai-sdk/openai-compatible",
            name: "SecLlama",
            options: { baseURL: `${url}/v1` },
            models: {
              [model]: {
                name: model,
                tool_call: true,
                limit: { context: contextLength, output: answerOf(contextLength) },
              },
            },
          },
        },
        model: `secllama/${model}`,
        small_model: `secllama/${model}`,
        enabled_providers: ["secllama"],
        autoupdate: false,
        share: "disabled",
      }),
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
    },
    args: [],
  }),
};

const qwen: Agent = {
  program: "qwen",
  package: "@qwen-code/qwen-code",
  title: "qwen-code",
  without: [],
  setup: ({ url, model }) => ({
    env: {
      OPENAI_BASE_URL: `${url}/v1`,
      OPENAI_API_KEY: NO_KEY,
      OPENAI_MODEL: model,
      QWEN_TELEMETRY_ENABLED: "false",
    },
    args: ["--auth-type", "openai"],
  }),
};

const copilot: Agent = {
  program: "copilot",
  package: "@github/copilot",
  title: "Copilot CLI",
  without: [],
  setup: ({ url, model, contextLength }) => ({
    env: {
      COPILOT_PROVIDER_BASE_URL: `${url}/v1`,
      COPILOT_PROVIDER_TYPE: "openai",
      COPILOT_MODEL: model,
      COPILOT_PROVIDER_MAX_PROMPT_TOKENS: String(contextLength),
      // Nothing to GitHub: no sign-in, no telemetry.
      COPILOT_OFFLINE: "true",
    },
    args: [],
  }),
};

const cline: Agent = {
  program: "cline",
  package: "cline",
  title: "Cline CLI",
  without: [],
  setup: ({ url, model, contextLength, folder }) => ({
    env: {
      CLINE_PROVIDER_SETTINGS_PATH: `${folder}/providers.json`,
      CLINE_GLOBAL_SETTINGS_PATH: `${folder}/settings.json`,
      // Else it leaves a process behind that goes on with these settings, also for starts without launch.
      CLINE_SESSION_BACKEND_MODE: "local",
    },
    args: [],
    files: {
      "providers.json": json({
        version: 1,
        lastUsedProvider: "openai-compatible",
        modes: {},
        providers: {
          "openai-compatible": {
            settings: {
              provider: "openai-compatible",
              apiKey: NO_KEY,
              model,
              baseUrl: `${url}/v1`,
              contextWindow: contextLength,
              maxTokens: answerOf(contextLength),
            },
            // It wants to know how old this is.
            updatedAt: "2026-01-01T00:00:00.000Z",
            tokenSource: "manual",
          },
        },
      }),
      "settings.json": json({ telemetryOptOut: true, autoUpdateEnabled: false }),
    },
  }),
};

const pi: Agent = {
  program: "pi",
  package: "@mariozechner/pi-coding-agent",
  title: "pi",
  without: [],
  setup: ({ url, model, contextLength, folder }) => ({
    // No look for updates, no report of an installation.
    env: { PI_OFFLINE: "1", PI_TELEMETRY: "0" },
    args: ["--extension", `${folder}/secllama.js`, "--model", `secllama/${model}`],
    files: {
      "secllama.js": `export default (pi) => pi.registerProvider("secllama", ${
        json({
          name: "SecLlama",
          baseUrl: `${url}/v1`,
          apiKey: NO_KEY,
          api: "openai-completions",
          models: [{
            id: model,
            name: model,
            reasoning: false,
            input: ["text"],
            cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
            contextWindow: contextLength,
            maxTokens: answerOf(contextLength),
          }],
        })
      });\n`,
    },
  }),
};

const continueCli: Agent = {
  program: "cn",
  package: "@continuedev/cli",
  title: "Continue CLI",
  without: ["CONTINUE_API_KEY", "ANTHROPIC_API_KEY"],
  setup: ({ url, model, contextLength, folder }) => ({
    env: { CONTINUE_METRICS_ENABLED: "0", CONTINUE_CLI_ENABLE_TELEMETRY: "0" },
    args: ["--config", `${folder}/config.yaml`],
    files: {
      // YAML takes JSON as it is.
      "config.yaml": json({
        name: "SecLlama",
        version: "1.0.0",
        schema: "v1",
        models: [{
          name: model,
          provider: "openai",
          model,
          apiBase: `${url}/v1`,
          apiKey: NO_KEY,
          roles: ["chat", "edit", "apply"],
          capabilities: ["tool_use"],
          defaultCompletionOptions: {
            contextLength,
            maxTokens: answerOf(contextLength),
          },
        }],
      }),
    },
  }),
};

const json = (value: unknown): string => JSON.stringify(value, undefined, 2);

/** How many tokens of a conversation are kept for an answer. */
function answerOf(contextLength: number): number {
  return Math.ceil(contextLength / 4);
}

/** By the word for `secllama launch`. */
export const AGENTS: Readonly<Record<string, Agent>> = {
  claude,
  codex,
  opencode,
  qwen,
  copilot,
  cline,
  pi,
  continue: continueCli,
};
