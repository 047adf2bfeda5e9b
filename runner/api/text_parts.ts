/** Several texts of one message, as one: each begins a line, as llama-server has it. */
export function joinTexts(texts: Iterable<string>): string {
  let whole = "";
  for (const text of texts) whole += whole === "" ? text : `\n${text}`;
  return whole;
}
