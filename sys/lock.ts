// Mutual exclusion between processes. The kernel gives a lock back when its holder dies, so none can be stale.
import { close, openOrCreate } from './file.ts'
import { lock } from './libc.ts'

/** An exclusive flock(2) on `path`, held until disposed. Waits for other holders. The file stays. */
export class Lock implements Disposable {
  readonly #fd: number

  /** @throws SyscallError, or Error with an errno name in `code`, when the file cannot be opened or locked */
  constructor(path: string, mode = 0o600) {
    this.#fd = openOrCreate(path, mode)
    try {
      lock(this.#fd, 'exclusive')
    } catch (error) {
      close(this.#fd)
      throw error
    }
  }

  [Symbol.dispose](): void { close(this.#fd) }
}
