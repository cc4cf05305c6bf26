/**
 * One queue per key: whoever holds a key's lock is alone with it, and waiters go in order.
 *
 *     using _ = await locks.acquire(id);
 */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  async acquire(key: string): Promise<Disposable> {
    const before = this.#tails.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    const tail = before === undefined ? promise : before.then(() => promise);
    this.#tails.set(key, tail);
    await before;
    return {
      [Symbol.dispose]: () => {
        if (this.#tails.get(key) === tail) this.#tails.delete(key);
        resolve();
      },
    };
  }
}
