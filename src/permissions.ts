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

/**
 * What the program's commands may do, as flags of `deno run`: as `deno task secllama` gives it, and as the compiled program is made
 * with. A role that needs less is started with less (src/app/role_command.ts), or gives up the rest.
 */
export const PROGRAM_PERMISSIONS = [
  "--deny-import",
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-run",
  "--allow-env",
  "--allow-ffi",
  "--allow-sys=uid",
] as const;
