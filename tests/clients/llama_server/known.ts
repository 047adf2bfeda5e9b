/** Files of llama.cpp's tests/unit that ask for what is served here. */
export const SUITE_FILES = [
  "test_chat_completion.py",
  "test_tool_call.py",
  "test_template.py",
  "test_tokenize.py",
  "test_compat_anthropic.py",
  "test_compat_oai_responses.py",
] as const;

/** Tests of llama.cpp's server that fail here, and why that is to be so: the first pattern that fits a name counts. */
export const KNOWN: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /::test_chat_completion\[None-/,
    "the prompt's tokens are right; the words are those of llama-server's samplers at temperature 0.8",
  ],
  [
    /test_chat_completion_stream|timings_per_token/,
    "the first piece has the role and text, as OpenAI's may; llama-server's has the role alone",
  ],
  [
    /test_chat_template|test_verbose_debug/,
    "they look for __verbose: the prompt as text is not told to clients",
  ],
  [/test_apply_chat_template|token_count/, "a path of llama-server's own that is not served"],
  [/test_logit_bias/, "it asks /tokenize, a path of llama-server's own that is not served"],
  [/test_completion_with_grammar/, "grammars come as JSON schemas only"],
  [
    /test_invalid_chat_completion_req\[messages7/,
    "two assistant messages at the end are joined, as Ollama does",
  ],
  [
    /test_context_size_exceeded/,
    "the code is OpenAI's context_length_exceeded; it wants llama-server's type",
  ],
  [/test_return_progress/, "return_progress is not known here"],
];
