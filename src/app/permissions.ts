/** A role's Deno permissions: given up once it has started, and shown in the log. */
import { label, type LogFields } from "../log.ts";
import { permissionStates } from "../permissions.ts";

/** What only the start of a role needs: see ARCHITECTURE.md for what each role keeps, and why. */
const START_ONLY = ["env", "sys", "import"] as const;

/** Gives up what only the start needed, and `others`. Deno takes no permission back that was given up. */
export function revokePermissions(others: readonly ("run" | "read" | "write")[] = []): void {
  for (const name of [...START_ONLY, ...others]) Deno.permissions.revokeSync({ name });
}

/** This process's permissions as log fields. */
export function permissionLabels(): LogFields {
  return Object.fromEntries(
    Object.entries(permissionStates()).map(([name, state]) => [name, label(state)]),
  );
}
