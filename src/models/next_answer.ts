/**
 * One answer for many who ask the same at once. Who asks while an answer is on its way shares the next one, which begins after he
 * asked: no answer is older than its question.
 */
export class NextAnswer<T> {
  readonly #running = new Map<string, { done: Promise<void>; next: Promise<T> | undefined }>();

  /** @throws What `find` throws, to each who shares its answer. */
  ask(key: string, find: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running === undefined) return this.#start(key, find);
    return running.next ??= running.done.then(() => this.#start(key, find));
  }

  #start(key: string, find: () => Promise<T>): Promise<T> {
    const answer = find();
    const running = { done: Promise.resolve(), next: undefined as Promise<T> | undefined };
    const settled = () => {
      if (running.next === undefined) this.#running.delete(key);
    };
    running.done = answer.then(settled, settled);
    this.#running.set(key, running);
    return answer;
  }
}
