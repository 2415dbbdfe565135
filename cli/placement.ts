// Files and symbolic links that appear in one step. Whoever looks sees the old one or the new one, also after a crash.
import {
  closeSync, constants, copyFileSync, fchmodSync, fsyncSync, linkSync, lstatSync, openSync, readSync, readlinkSync,
  renameSync, symlinkSync, type Stats,
} from 'node:fs'
import { tolerate } from '#sys/errno.ts'
import { listDirectory, removeFile } from '#sys/file.ts'

const EXECUTABLE = 0o755
const CHUNK_BYTES = 1 << 20

/** The name under which something is prepared in `directory`. */
const temporary = (directory: string): string => `${directory}/.fairlead.${process.pid}.tmp`

/** Removes what a killed process has prepared. The directory must be locked. */
export const removeLeftovers = (directory: string): void => {
  const leftovers = listDirectory(directory).filter(name => /^\.fairlead\.\d+\.tmp$/.test(name))
  for (const name of leftovers) removeFile(`${directory}/${name}`)
}

/** Status of a path itself; undefined when there is nothing. */
export const entry = (path: string): Stats | undefined => tolerate(['ENOENT', 'ENOTDIR'], () => lstatSync(path))

/** What a symbolic link says, undefined when the path is none. */
export const linkTarget = (path: string): string | undefined =>
  tolerate(['ENOENT', 'EINVAL'], () => readlinkSync(path))

/** Makes what has been done to a file or directory survive a power failure. @param mode set it, too */
const settle = (path: string, mode?: number): void => {
  const fd = openSync(path, 'r')
  try {
    if (mode !== undefined) fchmodSync(fd, mode)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Makes the changes in a directory survive a power failure. */
export const settleDirectory = (directory: string): void => settle(directory)

/** Prepares something under a temporary name and moves it to its place. */
const place = (directory: string, name: string, prepare: (path: string) => void): void => {
  const path = temporary(directory)
  try {
    prepare(path)
    renameSync(path, `${directory}/${name}`)
  } catch (error) {
    removeFile(path)
    throw error
  }
}

/** Puts a copy of an executable into a directory. Those that run the old one go on with it. */
export const placeExecutable = (source: string, directory: string, name: string): void =>
  place(directory, name, path => {
    copyFileSync(source, path, constants.COPYFILE_FICLONE)
    settle(path, EXECUTABLE)
  })

/** Puts a symbolic link into a directory, over what is there. */
export const placeLink = (target: string, directory: string, name: string): void =>
  place(directory, name, path => symlinkSync(target, path))

/** Gives a file a second name. The first one stays until something is put over it. */
export const keep = (path: string, as: string): void => linkSync(path, as)

/** Moves a file over another name. */
export const restore = (path: string, to: string): void => renameSync(path, to)

const isSameFile = (a: Stats, b: Stats): boolean => a.dev === b.dev && a.ino === b.ino

/** Whether two paths are names of one file. */
export const areSame = (a: string, b: string): boolean => {
  const [first, second] = [entry(a), entry(b)]
  return first !== undefined && second !== undefined && isSameFile(first, second)
}

/** Whether two regular files are one, or equal byte for byte. */
export const areEqual = (a: string, b: string): boolean => {
  const [first, second] = [entry(a), entry(b)]
  if (!first?.isFile() || !second?.isFile()) return false
  if (isSameFile(first, second)) return true
  if (first.size !== second.size) return false
  const [fdA, fdB] = [openSync(a, 'r'), openSync(b, 'r')]
  try {
    const [bufferA, bufferB] = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)]
    for (;;) {
      const [lengthA, lengthB] = [readSync(fdA, bufferA), readSync(fdB, bufferB)]
      if (lengthA !== lengthB || bufferA.compare(bufferB, 0, lengthB, 0, lengthA) !== 0) return false
      if (lengthA === 0) return true
    }
  } finally {
    closeSync(fdA)
    closeSync(fdB)
  }
}
