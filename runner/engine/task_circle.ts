/** Work that waits, one queue for each client, taken from in a circle: one client's hundred do not hold up another's one. */

export type Task = () => Promise<void>;

export class TaskCircle {
  readonly #queues = new Map<string, Task[]>();
  #size = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  add(client: string, task: Task): void {
    const queue = this.#queues.get(client);
    if (queue) queue.push(task);
    else this.#queues.set(client, [task]);
    this.#size++;
  }

  /** Takes the next one out. */
  next(): Task | undefined {
    const first = this.#queues.entries().next().value;
    if (first === undefined) return undefined;
    const [client, queue] = first;
    const task = queue.shift();
    this.#size--;
    // To the end of the circle.
    this.#queues.delete(client);
    if (queue.length > 0) this.#queues.set(client, queue);
    return task;
  }
}
