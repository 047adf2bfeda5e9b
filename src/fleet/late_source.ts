/** Records of a store that may not be there yet when its host starts: it is looked for until it is. */
import { SecLlamaError } from "../errors.ts";
import type { FleetStore, RecordSource, StoreSource } from "./store.ts";

/** Between tries to reach it, ms. */
const AGAIN_MS = 1_000;

/** Says that it is unreachable, until it is there. */
export class LateSource implements RecordSource, AsyncDisposable {
  readonly mayCome = true;
  #there: { readonly store: FleetStore; readonly source: StoreSource } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #trying: Promise<void> | undefined;
  #isEnded = false;
  readonly #open: () => Promise<FleetStore>;
  readonly #watch: (store: FleetStore) => Promise<StoreSource>;

  private constructor(
    open: () => Promise<FleetStore>,
    watch: (store: FleetStore) => Promise<StoreSource>,
  ) {
    this.#open = open;
    this.#watch = watch;
  }

  /** Tries once before it resolves, and goes on by itself. */
  static async start(
    open: () => Promise<FleetStore>,
    watch: (store: FleetStore) => Promise<StoreSource>,
  ): Promise<LateSource> {
    const late = new LateSource(open, watch);
    await late.#try();
    return late;
  }

  /** The store, once it is there. */
  get store(): FleetStore | undefined {
    return this.#there?.store;
  }

  async version(): Promise<string> {
    return await this.#there?.source.version() ?? "away";
  }

  async get(name: string): Promise<string | undefined> {
    if (this.#there !== undefined) return await this.#there.source.get(name);
    throw new SecLlamaError("fleet-unreachable", "the fleet's store has not been reached yet");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    await this.#trying;
    this.#there?.source.close();
    await this.#there?.store[Symbol.asyncDispose]();
  }

  async #try(): Promise<void> {
    let store: FleetStore | undefined;
    try {
      store = await this.#open();
      this.#there = { store, source: await this.#watch(store) };
    } catch {
      await store?.[Symbol.asyncDispose]();
      if (this.#isEnded) return;
      this.#timer = setTimeout(() => this.#trying = this.#try(), AGAIN_MS);
      Deno.unrefTimer(this.#timer as unknown as number);
    }
  }
}
