/** A log in a folder of its own, under keys of its own, and what its tests do to it. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { label } from "../log.ts";
import type { KeyManager } from "../keys/keyset/manager.ts";
import { managerAt, withFolder } from "../keys/testing.ts";
import { AUDIT_FILE, AuditDatabase } from "./database.ts";
import { AuditLog } from "./log.ts";
import { AuditNote } from "./note.ts";
import { AuditSigner } from "./signer.ts";
import { type Verdict, verifyLog, type VerifyOptions } from "./verify.ts";
import type { AuditLogOptions } from "./writer.ts";

export const HID = new Uint8Array(16).fill(7);

export interface LogRig {
  readonly folder: string;
  readonly manager: KeyManager;
  open(options?: Partial<AuditLogOptions>): Promise<AuditLog>;
  /** Appends `count` lines, with a signed head after every `headEvery`. */
  fill(count: number, headEvery?: number): Promise<void>;
  /** As the host checks it, with all that it has. */
  verify(options?: VerifyOptions): Promise<Verdict>;
  /** As an auditor does, with the key that the host had at first. */
  verifyPublic(): Verdict;
  /** Raw access to the file, as somebody has it who has no key. */
  attack(change: (db: DatabaseSync) => void): void;
}

/** Runs `test` with a log's rig; its folder is removed afterwards. */
export function withLog(test: (rig: LogRig) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const manager = managerAt(folder);
    await manager.init();
    const stateDir = join(folder, "state");
    using first = await AuditSigner.of(manager);
    const key = first.signing.publicKey;
    const open = (options: Partial<AuditLogOptions> = {}) =>
      AuditLog.open({ dataDir: folder, keys: manager, hid: HID, stateDir, ...options });
    await test({
      folder,
      manager,
      open,
      async fill(count, headEvery = 7) {
        const log = await open();
        for (let i = 1; i <= count; i++) {
          await log.record(exchange(i));
          if (i % headEvery === 0) await log.sign();
        }
        await log.close();
      },
      async verify(options) {
        using db = AuditDatabase.read(folder)!;
        const signers = new Map<string, AuditSigner>();
        for (const { kid } of db.epochs()) {
          const signer = await AuditSigner.of(manager, kid).catch(() => undefined);
          if (signer !== undefined) signers.set(kid, signer);
        }
        try {
          return verifyLog(db, {
            key,
            signers,
            seen: new AuditNote(stateDir, HID).read(),
            ...options,
          });
        } finally {
          for (const signer of signers.values()) signer[Symbol.dispose]();
        }
      },
      verifyPublic() {
        using db = AuditDatabase.read(folder)!;
        return verifyLog(db, { key });
      },
      attack(change) {
        const db = new DatabaseSync(join(folder, AUDIT_FILE));
        try {
          change(db);
        } finally {
          db.close();
        }
      },
    });
  });
}

/** A line of an exchange like those of a gateway. */
export function exchange(i: number) {
  return {
    event: "exchange",
    fields: { client: label(`client-${i % 5}`), model: label("demo:latest"), bytes_out: i },
  } as const;
}
