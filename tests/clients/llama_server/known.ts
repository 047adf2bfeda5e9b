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
    /test_chat_template_assistant_prefill\[prefill1/,
    "texts of one message begin a line each, a reply's as any other's; it wants an empty line between them there",
  ],
  [
    /test_invalid_chat_completion_req\[messages7/,
    "two assistant messages at the end are joined, as Ollama does",
  ],
  [
    /test_context_size_exceeded/,
    "the code is OpenAI's context_length_exceeded, which agents look for; it wants llama-server's type",
  ],
  [/test_return_progress\[64-4/, "a prompt is read in steps of 512 tokens; it wants four of 64"],
  [
    /llama_telemetry/,
    "a response that max_output_tokens cut ends as response.incomplete, as with OpenAI; it wants response.completed",
  ],
  [
    /test_anthropic_tool_use_basic|test_anthropic_tool_streaming|content_block_indices/,
    "a model that knows no tools is said to know none, as Ollama does",
  ],
  [
    /test_anthropic_tool_result_with_image/,
    "a picture of an earlier turn must not lock the conversation: a text stands for it",
  ],
  [
    /test_anthropic_vision_format_accepted/,
    "a picture that a model cannot see is 400; it wants 500",
  ],
  [/test_anthropic_vision_base64/, "it fetches a model that sees"],
  [/test_anthropic_empty_messages/, "no messages are 400, as with Anthropic"],
];
