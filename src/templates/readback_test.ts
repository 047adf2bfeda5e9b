import assert from "node:assert/strict";
import { ChatTemplate } from "./mod.ts";

Deno.test("a template that writes numbers beyond 2^53 into every call is no error: its calls are not those that were made", () => {
  const template = new ChatTemplate(
    `{{ tools | tojson if tools }}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content or '' }}{% for t in m.tool_calls or [] %}<tool_call>
{"name": "{{ t.function.name }}", "arguments": {"n": 9007199254740993, "x": {{ t.function.arguments | tojson }}}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`,
  );
  assert.equal(template.needs.calls, "own");
  assert.equal(template.callsTools, false);
});
