/** What errors say that more than one place says: what to do next, and why the operating system refused a file. */

/** Why the operating system refused a file, in words. */
export function ioReason(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (typeof code === "string") return REASONS[code] ?? code;
  // Deno's own permissions have no number.
  const denied = name === "PermissionDenied" || name === "NotCapable";
  return denied ? REASONS["EACCES"]! : "an input/output error";
}

/** How a program's token ends. */
export function endToken(name: string): string {
  return `to end it: secllama token revoke ${name}`;
}

const REASONS: { readonly [code: string]: string } = {
  ENOSPC: "no space is left on the disk",
  EDQUOT: "the disk quota is used up",
  EROFS: "the disk is read-only",
  EACCES: "permission was denied",
  EPERM: "permission was denied",
  ENOENT: "it is not there",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is a file",
  ELOOP: "its links lead in a circle",
  ENAMETOOLONG: "its name is too long",
  EMFILE: "too many files are open",
  ENFILE: "too many files are open on this machine",
  EFBIG: "it is longer than a file may be here (ulimit -f)",
  EEXIST: "there is something of that name already",
  EBUSY: "something else has it",
  EXDEV: "it is on another disk",
  ENOMEM: "there is too little memory",
  EIO: "the disk failed to read or write it",
  ENODEV: "the device is not there",
  ENXIO: "the device is not there",
  EINVAL: "the file system does not allow it",
};

/**
 * What to do, where more than one error says it. A hint of one error stands beside that error. `tests/cli/hints_test.ts` finds
 * those that are written twice, and checks that every command, option, topic and setting that a hint names is one.
 */
export const HINTS = {
  keyStoreState: "to see the state of the key store, run: secllama key status",
  keyInit: "to make one, run: secllama key init",
  keyList: "to see the keys, run: secllama key list",
  otherKeySource: "use the key store, or name another source: see secllama help keys",
  unlockKeychain: "to unlock it, run: security unlock-keychain",
  keyDocument: "fetch the key document again",
  openFiles: "raise the limit of open files (ulimit -n), or try again",
  nextRunner: "try again: the next request starts a new runner",
  installAgain: "install SecLlama again",
  wholeModel: "give the GGUF file of a whole model",
  newFile: "give a new file's name",
  historyList: "to see them, run: secllama history list",
  auditFromCopy:
    "put it back from a copy; to keep it and begin a new one, move it away with those beside it",
  auditBack:
    "put it back, with those beside it; to begin a new one, move those away too, and start secllama serve again",
  auditAside: "to keep it and begin a new one, move it away, with those beside it that begin alike",
  auditKey: "the host's administrator has it from: secllama audit key",
  serveRuns: "check that it runs: secllama serve",
  administrator: "run as Administrator",
  whyTokens: "its administrator sees why: secllama token list",
  whyClients: "its administrator sees why: secllama clients list",
  signingKey: "to make one: openssl ecparam -genkey -name prime256v1 -noout -out key.pem",
  roles: "to see the roles: secllama role list; to make one: secllama role set NAME …",
  passphraseAgain: "try the passphrase again; if it is right, the file was changed: use a copy",
  newerWrote: "a newer secllama wrote it: use that one",
  newerWroteIt: "a newer secllama wrote it: use that one; nothing was changed",
  newestFleetFile:
    "bring this host's newest one from the issuer, as secllama fleet publish wrote it",
  writableData: "set SECLLAMA_DATA_DIR to a folder that you can write to",
  natsAuthority: "name the PEM file of the authority that signed the certificates of NATS",
  endFirst: "end it first",
  signIn: "sign in: secllama login URL",
  openPage: "open the page with: secllama ui",
  proxyHost:
    "use the address that secllama printed, such as 127.0.0.1; to let clients use this name: --proxy-allow-host NAME",
  proxyOrigin: "to let a web page of yours in, name its exact origin: --proxy-allow-origin ORIGIN",
  gatewayHost:
    "use the address that secllama printed; to let clients use this name: serve --name NAME",
  gatewayOrigin:
    "to let a web page send sealed requests, name its exact origin: serve --allow-origin ORIGIN",
};
