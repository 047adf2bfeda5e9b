/** Changes one list in the config file's text and nothing else; what it cannot change safely it leaves to the user. */
import { parse as parseToml } from "smol-toml";
import { SecLlamaError } from "../errors.ts";

/**
 * The text with `value` added to the list of `key`.
 * @throws {SecLlamaError} `bad-config` if the file is written in a way that this does not understand.
 */
export function addToList(text: string, key: string, value: string): string {
  const before = parse(text, key);
  const old = before[key];
  const list = Array.isArray(old) ? old : typeof old === "string" ? old.split(",") : [];
  const values = [...list.map((one) => String(one).trim()).filter((one) => one !== ""), value];
  const line = `${key} = [${values.map((one) => JSON.stringify(one)).join(", ")}]`;
  const assignment = new RegExp(`^[ \\t]*${key}[ \\t]*=.*$`, "m");
  const after = old === undefined ? `${line}\n${text}` : text.replace(assignment, () => line);
  const read = parse(after, key);
  if (!sameBut(key, read, before) || JSON.stringify(read[key]) !== JSON.stringify(values)) {
    throw cannot(key);
  }
  return after;
}

/** Whether two files say the same but for one key. */
function sameBut(key: string, a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  const text = (file: Record<string, unknown>) =>
    JSON.stringify(Object.entries(file).filter(([name]) => name !== key).sort());
  return text(a) === text(b);
}

function parse(text: string, key: string): Record<string, unknown> {
  try {
    return parseToml(text) as Record<string, unknown>;
  } catch {
    throw cannot(key);
  }
}

function cannot(key: string): SecLlamaError {
  return new SecLlamaError("bad-config", `the config file's ${key} cannot be changed from here`, {
    field: key,
    hint: "add the host to the list by hand",
  });
}
