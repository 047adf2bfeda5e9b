/** How far the models that are being loaded have come, for who waits for them. */

/** `waiting` for room beside the other models, `checking` the file's digest, `loading` into the sandbox. */
type LoadStatus = "waiting" | "checking" | "loading";

export interface LoadStand {
  readonly name: string;
  /** Of the manifest. */
  readonly digest: string;
  readonly status: LoadStatus;
  readonly completedBytes: number;
  readonly totalBytes: number;
}

/** One stand for each name. */
export class LoadStands {
  readonly #byName = new Map<string, LoadStand>();

  begin(name: string, digest: string, totalBytes: number): void {
    this.#byName.set(name, { name, digest, status: "waiting", completedBytes: 0, totalBytes });
  }

  /** Nothing happens to a name that did not begin, or has ended. */
  to(name: string, status: LoadStatus, completedBytes: number): void {
    const stand = this.#byName.get(name);
    if (stand !== undefined) this.#byName.set(name, { ...stand, status, completedBytes });
  }

  end(name: string): void {
    this.#byName.delete(name);
  }

  get(name: string): LoadStand | undefined {
    return this.#byName.get(name);
  }
}
