/**
 * The launcher: the first program in the new namespaces. It restricts itself, step by step, and becomes the runner. Whatever
 * step fails, it writes one line and exits, and no runner starts.
 *
 * Must run on the process's main thread (restrictions are per thread) and must not be an async program: between the steps
 * nothing else may run. Assumes that what started it is trusted and that its argument is a {@link LaunchSpec}.
 */
import { restrictSelf } from "../../linux/landlock.ts";
import { linux, SystemCallError } from "../../linux/libc.ts";
import { compile, installFilter } from "../../linux/seccomp.ts";
import type { LaunchSpec } from "./launch_spec.ts";
import {
  closeAtExec,
  dieWithParent,
  dropBoundingSet,
  dropCapabilities,
  dropUser,
  execute,
  mustHaveLeft,
  mustRead,
  newSession,
  noNewPrivileges,
  openProgram,
  setLimits,
} from "./launch_steps.ts";
import { seccompFor } from "./policy.ts";
import { enterPrivateRoot } from "./private_root.ts";

/** Descriptors that the runner may have open when its policy sets no limit. */
const DEFAULT_NOFILE = 1024;

function launch(spec: LaunchSpec): never {
  const system = linux();
  mustHaveLeft(system, spec.leave);
  newSession(system);
  // The operator's umask would make the private root's folders unreadable for the id that root gives itself up for.
  system.call("umask", 0o022);
  if (spec.root !== null) enterPrivateRoot(system, spec.root);
  dropBoundingSet(system);
  if (spec.user !== null) dropUser(system, spec.user);
  dropCapabilities(system);
  dieWithParent(system);
  for (const path of readable(spec)) mustRead(system, path);
  const program = openProgram(system, spec.exec.path, spec.limits["nofile"] ?? DEFAULT_NOFILE);
  closeAtExec(system);
  noNewPrivileges(system);
  if (spec.landlock !== null) restrictSelf(system, spec.landlock.abi, spec.landlock.rules);
  if (spec.seccomp !== null) {
    const filter = compile(seccompFor(spec.seccomp), {
      arch: system.arch,
      variables: { self: system.call("getpid"), execFd: program },
    });
    installFilter(system, filter, { allThreads: false });
  }
  setLimits(system, { nofile: DEFAULT_NOFILE, ...spec.limits });
  return execute(system, program, spec.exec);
}

/** What the runner must be able to read as the user that it now is. */
function readable(spec: LaunchSpec): string[] {
  if (spec.root === null) {
    return (spec.landlock?.rules ?? []).filter((r) => r.access !== "rw").map((r) => r.path);
  }
  return spec.root.binds.filter((bind) => bind.kind !== "device").map((bind) => bind.to);
}

/** Exit code of a launcher that refused to go on. */
const REFUSED = 126;

try {
  const spec = JSON.parse(Deno.args.at(-1) ?? "") as LaunchSpec;
  if (spec.version !== 1) throw new TypeError(`launch version ${spec.version}, wanted 1`);
  launch(spec);
} catch (error) {
  const reason =
    error instanceof SystemCallError || error instanceof TypeError || error instanceof RangeError
      ? error.message
      : "its argument is not a launch specification, or the C library could not be opened";
  console.error(`launcher: ${reason}`);
  Deno.exit(REFUSED);
}
