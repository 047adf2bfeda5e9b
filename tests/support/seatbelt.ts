/** Reads profiles of macOS's sandbox (Seatbelt), and says what one permits: the last matching rule wins. */
import assert from "node:assert/strict";
import type { MacosPlan } from "../../src/sandbox/macos/plan.ts";

/** What a profile is made of: lists, strings, `#"regular expressions"`, atoms. */
type Form = string | { text: string; regex: boolean } | Form[];

/** @throws {SyntaxError} If it is no list of forms. */
export function parse(source: string): Form[] {
  const token = /\s+|;[^\n]*|[()]|(#?)"((?:[^"\\]|\\.)*)"|[^\s()";]+/gy;
  const stack: Form[][] = [[]];
  while (token.lastIndex < source.length) {
    const at = token.lastIndex;
    const match = token.exec(source);
    if (!match) throw new SyntaxError(`cannot read the profile at ${at}`);
    const [text, hash, quoted] = match;
    if (/^[\s;]/.test(text)) continue;
    if (text === "(") stack.push([]);
    else if (text === ")") {
      const list = stack.pop()!;
      if (stack.length === 0) throw new SyntaxError(`) too many at ${at}`);
      stack.at(-1)!.push(list);
    } else {
      stack.at(-1)!.push(quoted === undefined ? text : { text: quoted, regex: hash === "#" });
    }
  }
  if (stack.length !== 1) throw new SyntaxError(`${stack.length - 1} ( are not closed`);
  return stack[0]!;
}

const OPERATIONS = new Set([
  "default",
  "appleevent-send",
  "file-link",
  "file-map-executable",
  "file-read*",
  "file-read-metadata",
  "file-write*",
  "iokit-get-properties",
  "iokit-open",
  "job-creation",
  "lsopen",
  "mach-lookup",
  "mach-register",
  "network*",
  "process-exec",
  "process-exec*",
  "process-fork",
  "process-info*",
  "signal",
  "sysctl-read",
  "system-socket",
]);
const FILTERS = new Set([
  "global-name",
  "iokit-connection",
  "iokit-user-client-class",
  "literal",
  "path-ancestors",
  "regex",
  "require-all",
  "require-any",
  "require-not",
  "subpath",
  "sysctl-name",
  "sysctl-name-prefix",
  "target",
  "xpc-service-name",
]);

interface Rule {
  action: "allow" | "deny";
  operations: string[];
  filters: Form[][];
}

/** @throws If it is not a profile that this project may use. */
export function readProfile(source: string): Rule[] {
  const forms = parse(source);
  assert.deepEqual(forms.slice(0, 2), [["version", "1"], ["deny", "default"]]);
  return forms.slice(2).map((form) => {
    assert.ok(Array.isArray(form));
    const [action, ...rest] = form;
    assert.ok(action === "allow" || action === "deny", `${action} is no rule`);
    const operations = rest.filter((part) => typeof part === "string");
    const filters = rest.filter((part): part is Form[] => Array.isArray(part));
    assert.ok(operations.length > 0 && operations.length + filters.length === rest.length);
    for (const name of operations) assert.ok(OPERATIONS.has(name), `${name} is not known`);
    const check = (filter: Form[]) => {
      assert.ok(FILTERS.has(filter[0] as string), `${filter[0]} is not a known filter`);
      if (!/^require-/.test(filter[0] as string)) return;
      for (const part of filter.slice(1)) check(part as Form[]);
    };
    filters.forEach(check);
    if (action === "allow") {
      for (const name of operations) {
        assert.doesNotMatch(name, /^(default|network|system-socket|job-creation|process-fork)/);
        if (/^(file-|mach-|process-|signal|iokit-open|sysctl)/.test(name)) {
          assert.ok(filters.length > 0, `(allow ${name}) is for everything`);
        }
      }
    }
    return { action, operations, filters };
  });
}

/** The parameters that a form names. */
export function parameters(form: Form): string[] {
  if (!Array.isArray(form)) return [];
  if (form[0] === "param") return [(form[1] as { text: string }).text];
  return form.flatMap(parameters);
}

/** Whether the profile with the plan's parameters permits an operation on a path or name. */
export function permits(
  plan: MacosPlan,
  operation: string,
  subject: string,
  kind = "path",
): boolean {
  const value = (form: Form): string => {
    if (Array.isArray(form)) {
      const given = plan.parameters[(form[1] as { text: string }).text];
      assert.ok(form[0] === "param" && given !== undefined);
      return given;
    }
    return typeof form === "string" ? form : form.text;
  };
  const matches = ([name, ...rest]: Form[]): boolean => {
    const lists = () => rest as Form[][];
    switch (name) {
      case "require-all":
        return lists().every(matches);
      case "require-any":
        return lists().some(matches);
      case "require-not":
        return !lists().some(matches);
    }
    return rest.map(value).some((text) => {
      switch (name) {
        case "literal":
          return kind === "path" && subject === text;
        case "subpath":
          return kind === "path" &&
            `${subject}/`.startsWith(text.endsWith("/") ? text : `${text}/`);
        case "path-ancestors":
          return kind === "path" && text.startsWith(subject === "/" ? "/" : subject + "/");
        case "regex":
          return kind === "path" && new RegExp(text).test(subject);
        case "sysctl-name-prefix":
          return kind === "sysctl-name" && subject.startsWith(text);
        default:
          return kind === name && subject === text;
      }
    });
  };
  let permitted = false;
  for (const { action, operations, filters } of readProfile(plan.profile!)) {
    const covers = operations.some((name) =>
      name === operation || (name.endsWith("*") && operation.startsWith(name.slice(0, -1)))
    );
    if (covers && (filters.length === 0 || filters.some(matches))) permitted = action === "allow";
  }
  return permitted;
}
