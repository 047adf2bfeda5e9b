/** A role's permissions as log fields. */
import { label, type LogFields } from "../log.ts";
import { permissionStates } from "../permissions.ts";

export function permissionLabels(): LogFields {
  return Object.fromEntries(
    Object.entries(permissionStates()).map(([name, state]) => [name, label(state)]),
  );
}
