// Files that are still there after a power cut, with the old text or the new one: fsync(2), rename(2).
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const OWNER_ONLY = 0o600

const synced = (path: string, flags: string, step: (fd: number) => void): void => {
  const fd = openSync(path, flags, OWNER_ONLY)
  try {
    step(fd)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Replaces a file in one step. One writer at a time: what another one left unfinished is overwritten. */
export const replaceDurably = (path: string, text: string): void => {
  const fresh = `${path}.new`
  synced(fresh, 'w', fd => { writeFileSync(fd, text) })
  renameSync(fresh, path)
  synced(dirname(path), 'r', () => undefined)
}
