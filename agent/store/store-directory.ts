// The directory of a file store: its lock, and its one file, which is replaced as a whole.
import { makeDirectory, readText, status } from '#sys/file.ts'
import { Lock } from '#sys/lock.ts'
import { replaceDurably } from '../durable-file.ts'

const [PRIVATE, OWNER_ONLY] = [0o700, 0o600]

export class StoreDirectory {
  readonly path: string
  readonly #file: string
  readonly #lock: string

  constructor(path: string) {
    this.path = path
    this.#file = `${path}/store.json`
    this.#lock = `${path}/lock`
  }

  read(): string | undefined { return readText(this.#file) }

  /** Runs a step that no other process runs at the same time. Synchronous: nothing else happens in this one, either. */
  alone<T>(step: () => T): T {
    for (;;) {
      makeDirectory(this.path, PRIVATE)
      const before = status(this.#lock)?.inode
      using _ = Lock.on(this.#lock, OWNER_ONLY)
      // Somebody who removed the directory while we waited has left us with the lock of a file that is gone.
      if (before !== undefined && before === status(this.#lock)?.inode) return step()
    }
  }

  /** Replaces the content. To be called alone. */
  replace(text: string): void { replaceDurably(this.#file, text) }
}
