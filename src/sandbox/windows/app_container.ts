/**
 * AppContainer profiles without capabilities, and what files one may read. A profile and its entries in files' access lists
 * outlive the process that made them: whoever calls `makeContainer` calls `removeContainer`.
 */
import { readU64, type WindowsApi, WindowsError } from "../../windows/api.ts";
import { pack, STRUCTS } from "../../windows/layout.ts";
import { wide } from "../../windows/text.ts";
import type { WindowsLaunchSpec } from "./plan.ts";

type Container = NonNullable<WindowsLaunchSpec["appContainer"]>;

const ALREADY_EXISTS = 0x800700B7 | 0;
const SE_FILE_OBJECT = 1;
const DACL_SECURITY_INFORMATION = 4;
const TRUSTEE_IS_SID = 0;
const TRUSTEE_IS_UNKNOWN = 0;
const MODE = { grant: 1, revoke: 4 } as const;
/** A folder's entry holds for what is in it too. */
const SUB_CONTAINERS_AND_OBJECTS_INHERIT = 3;
/** FILE_GENERIC_READ, and with it FILE_GENERIC_EXECUTE (winnt.h). */
const ACCESS = { "read": 0x120089, "read-execute": 0x1200A9 } as const;

/**
 * The container's SID, of a new profile or of the one that is there, with its grants made. Free it by `FreeSid`.
 * @throws {WindowsError} If Windows refuses any of it.
 */
export function makeContainer(api: WindowsApi, container: Container): bigint {
  if (container.capabilities.length > 0) throw new TypeError("a runner's container has none");
  const sid = sidOf(api, container);
  for (const { path, access } of container.grants) {
    changeAccess(api, path, sid, { mode: MODE.grant, rights: ACCESS[access] });
  }
  return sid;
}

function sidOf(api: WindowsApi, { name, displayName, description }: Container): bigint {
  let result = 0;
  const sid = readU64((out) => {
    result = api.CreateAppContainerProfile(
      wide(name),
      wide(displayName),
      wide(description),
      0n,
      0,
      out,
    );
  });
  if (result === 0) return sid;
  if (result !== ALREADY_EXISTS) throw new WindowsError("CreateAppContainerProfile", result);
  return existingSid(api, name);
}

function existingSid(api: WindowsApi, name: string): bigint {
  let result = 0;
  const sid = readU64((out) => {
    result = api.DeriveAppContainerSidFromAppContainerName(wide(name), out);
  });
  if (result !== 0) throw new WindowsError("DeriveAppContainerSidFromAppContainerName", result);
  return sid;
}

/** Takes the grants back and deletes the profile. Returns what could not be undone, one line each. */
export function removeContainer(api: WindowsApi, container: Container): string[] {
  const left: string[] = [];
  const attempt = (what: string, undo: () => void) => {
    try {
      undo();
    } catch (error) {
      if (!(error instanceof WindowsError)) throw error;
      left.push(`${what}: ${error.message}`);
    }
  };
  attempt(container.name, () => {
    const sid = existingSid(api, container.name);
    for (const { path } of container.grants) {
      attempt(path, () => changeAccess(api, path, sid, { mode: MODE.revoke, rights: 0 }));
    }
    api.FreeSid(sid);
    const result = api.DeleteAppContainerProfile(wide(container.name));
    if (result !== 0) throw new WindowsError("DeleteAppContainerProfile", result);
  });
  return left;
}

/** Adds an entry for `sid` to a file's or folder's list, or takes its entries away; the others stay. */
function changeAccess(
  api: WindowsApi,
  path: string,
  sid: bigint,
  o: { mode: number; rights: number },
): void {
  const name = wide(path);
  let result = 0;
  let descriptor = 0n;
  const old = readU64((dacl) => {
    descriptor = readU64((out) => {
      const info = DACL_SECURITY_INFORMATION;
      result = api.GetNamedSecurityInfoW(name, SE_FILE_OBJECT, info, 0n, 0n, dacl, 0n, out);
    });
  });
  if (result !== 0) throw new WindowsError(`GetNamedSecurityInfoW ${path}`, result);
  try {
    const entry = pack(STRUCTS.EXPLICIT_ACCESS_W, {
      grfAccessPermissions: o.rights,
      grfAccessMode: o.mode,
      grfInheritance: SUB_CONTAINERS_AND_OBJECTS_INHERIT,
      TrusteeForm: TRUSTEE_IS_SID,
      TrusteeType: TRUSTEE_IS_UNKNOWN,
      ptstrName: sid,
    });
    const list = readU64((out) => {
      result = api.SetEntriesInAclW(1, entry, old, out);
    });
    if (result !== 0) throw new WindowsError("SetEntriesInAclW", result);
    const info = DACL_SECURITY_INFORMATION;
    result = api.SetNamedSecurityInfoW(name, SE_FILE_OBJECT, info, 0n, 0n, list, 0n);
    api.LocalFree(list);
    if (result !== 0) throw new WindowsError(`SetNamedSecurityInfoW ${path}`, result);
  } finally {
    api.LocalFree(descriptor);
  }
}

/** SECURITY_CAPABILITIES of a container without any; keep `sid` alive. */
export function noCapabilities(sid: bigint): Uint8Array<ArrayBuffer> {
  return pack(STRUCTS.SECURITY_CAPABILITIES, { AppContainerSid: sid, CapabilityCount: 0 });
}

/** Whether this Windows can make one, by making one and deleting it. */
export function containersWork(api: WindowsApi, container: Omit<Container, "grants">): boolean {
  try {
    const trial = { ...container, grants: [] };
    api.FreeSid(makeContainer(api, trial));
    return removeContainer(api, trial).length === 0;
  } catch (error) {
    if (error instanceof WindowsError) return false;
    throw error;
  }
}
