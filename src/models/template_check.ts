/**
 * Whether a TEMPLATE is well-formed: every action of Go's text/template closed, every block ended. What its fields and
 * functions mean is the runner's to say; this keeps a slip of the pen from being stored.
 */
import { SecLlamaError } from "../errors.ts";

const OPENS = /^(?:if|range|with|define|block)\b/;
/** Quoted texts of an action: they may hold braces. */
const QUOTED = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)*'/y;

/**
 * @throws {SecLlamaError} `bad-modelfile` with the template's line.
 */
export function checkTemplate(text: string): void {
  const open: number[] = [];
  for (let at = text.indexOf("{{"); at >= 0; at = text.indexOf("{{", at)) {
    const begin = at;
    const end = actionEnd(text, at + 2);
    if (end === undefined) throw bad(text, begin, "an action {{ is never closed");
    const action = text.slice(at + 2, end - 2).replace(/^-\s/, "").replace(/\s-$/, "").trim();
    if (OPENS.test(action)) open.push(begin);
    else if (/^end$/.test(action)) {
      if (open.pop() === undefined) throw bad(text, begin, "{{ end }} ends nothing");
    } else if (/^else\b/.test(action) && open.length === 0) {
      throw bad(text, begin, "{{ else }} belongs to nothing");
    } else if (action === "") throw bad(text, begin, "an action is empty");
    at = end;
  }
  const last = open.pop();
  if (last !== undefined) throw bad(text, last, "a block has no {{ end }}");
}

/** Index after the `}}` of an action whose inside begins at `from`. */
function actionEnd(text: string, from: number): number | undefined {
  if (/^-?\s*\/\*/.test(text.slice(from, from + 8))) {
    const comment = text.indexOf("*/", from);
    const end = comment < 0 ? -1 : text.indexOf("}}", comment);
    return end < 0 ? undefined : end + 2;
  }
  for (let at = from; at < text.length;) {
    if (text.startsWith("}}", at)) return at + 2;
    if (`"\`'`.includes(text[at]!)) {
      QUOTED.lastIndex = at;
      if (!QUOTED.test(text)) return undefined;
      at = QUOTED.lastIndex;
    } else at++;
  }
  return undefined;
}

function bad(text: string, at: number, what: string): SecLlamaError {
  const line = text.slice(0, at).split("\n").length;
  return new SecLlamaError("bad-modelfile", `the template's line ${line}: ${what}`, {
    field: "template",
    hint: "templates are written as Ollama's are: {{ if .System }}{{ .System }}{{ end }}",
  });
}
