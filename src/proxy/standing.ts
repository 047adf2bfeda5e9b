/** What the gateway says of what protects a request, in the words that there are. */
const STANDING: Readonly<Record<string, readonly string[]>> = {
  "secllama-encryption": ["sealed", "off"],
  "secllama-isolation": ["strict", "engine", "weakened", "off"],
};

/** The headers that say what protects a request, by the gateway's newest answer. */
export function standingHeaders(outer: Headers | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(STANDING).map(([name, words]) => {
      const said = outer?.get(name) ?? "";
      return [name, words.includes(said) ? said : "unknown"];
    }),
  );
}

/** The same for a document. */
export function standingOf(outer: Headers | undefined): { encryption: string; isolation: string } {
  const headers = standingHeaders(outer);
  return {
    encryption: headers["secllama-encryption"]!,
    isolation: headers["secllama-isolation"]!,
  };
}
