/** Whether two spellings name the same model, by Ollama's rules for what may be left out. */

const DEFAULT_HOST = "registry.ollama.ai/";
const DEFAULT_NAMESPACE = "library/";

/** Host, namespace and tag filled in, in lower case: "demo" and "library/Demo:latest" come out the same. */
export function fullModelName(name: string): string {
  const lower = name.toLowerCase();
  const tagged = lower.lastIndexOf(":") > lower.lastIndexOf("/") ? lower : `${lower}:latest`;
  switch (tagged.split("/").length) {
    case 1:
      return DEFAULT_HOST + DEFAULT_NAMESPACE + tagged;
    case 2:
      return DEFAULT_HOST + tagged;
    default:
      return tagged;
  }
}

export function isSameModel(a: string, b: string): boolean {
  return fullModelName(a) === fullModelName(b);
}
