// Mutual exclusion between processes. The kernel gives a lock back when its holder dies, so none can be stale.
import { close, openExisting, openOrCreate } from './file.ts'
import { lock } from './libc.ts'

/** A flock(2), held until disposed. Taking one waits for other holders. */
export class Lock implements Disposable {
  readonly #fd: number

  private constructor(fd: number, kind: 'shared' | 'exclusive') {
    this.#fd = fd
    try {
      lock(fd, kind)
    } catch (error) {
      close(fd)
      throw error
    }
  }

  /** An exclusive lock on a file, which is created where there is none, and stays. @throws SyscallError */
  static on(path: string, mode = 0o600): Lock { return new Lock(openOrCreate(path, mode), 'exclusive') }

  /** A lock on a file that exists, for those who may write it. @throws SyscallError */
  static onExisting(path: string, kind: 'shared' | 'exclusive'): Lock { return new Lock(openExisting(path), kind) }

  [Symbol.dispose](): void { close(this.#fd) }
}
