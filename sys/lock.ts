// Mutual exclusion between processes. The kernel gives a lock back when its holder dies, so none can be stale.
import { close, openOrCreate } from './file.ts'
import { lock } from './libc.ts'

/**
 * A flock(2) on `path`, exclusive unless told otherwise, held until disposed. Waits for other holders. The file stays.
 */
export class Lock implements Disposable {
  readonly #fd: number

  /** @throws SyscallError, or Error with an errno name in `code`, when the file cannot be opened or locked */
  constructor(path: string, mode = 0o600, kind: 'shared' | 'exclusive' = 'exclusive') {
    this.#fd = openOrCreate(path, mode)
    try {
      lock(this.#fd, kind)
    } catch (error) {
      close(this.#fd)
      throw error
    }
  }

  [Symbol.dispose](): void { close(this.#fd) }
}
