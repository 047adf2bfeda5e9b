/** What Deno lets this process do, as it is now; for the log, the status and the test that lists each role's rights. */

const PERMISSION_NAMES = [
  "net",
  "read",
  "write",
  "run",
  "env",
  "sys",
  "ffi",
  "import",
] as const;
type PermissionStates = { readonly [name in (typeof PERMISSION_NAMES)[number]]: string };

/** `granted`: everything of its kind · `partial`: named things only · `denied` or `prompt`: nothing. */
export function permissionStates(): PermissionStates {
  return Object.fromEntries(PERMISSION_NAMES.map((name) => {
    const status = Deno.permissions.querySync({ name });
    return [name, status.partial ? "partial" : status.state];
  })) as PermissionStates;
}
