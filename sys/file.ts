// Files, synchronously. One place for node:fs, so that what start-up pays for it can be seen and changed here.
import {
  accessSync, appendFileSync, closeSync, constants, fstatSync, mkdirSync, openSync, readFileSync, readSync, readdirSync,
  renameSync, statSync, unlinkSync, utimesSync, writeFileSync, writeSync, type Stats,
} from 'node:fs'
import { tolerate } from './errno.ts'

/** Identity, age and permissions of a file. `modified` is in milliseconds since the epoch. */
export interface FileStatus {
  readonly device: number
  readonly inode: number
  readonly isFile: boolean
  /** A terminal, /dev/null or the like. */
  readonly isDevice: boolean
  readonly modified: number
  /** Permission bits. */
  readonly mode: number
}

const statusFrom = (found: Stats): FileStatus => ({
  device: found.dev, inode: found.ino, isFile: found.isFile(), isDevice: found.isCharacterDevice(), modified: found.mtimeMs,
  mode: found.mode & 0o7777,
})

const absent = ['ENOENT', 'ENOTDIR']

/** Opens an existing file for reading. @throws Error with an errno name in `code` */
export const open = (path: string): number => openSync(path, 'r')

/** Opens a file for reading, creating an empty one with `mode` where there is none. */
export const openOrCreate = (path: string, mode: number): number => openSync(path, constants.O_RDONLY | constants.O_CREAT, mode)

export const close = (fd: number): void => closeSync(fd)

/** Reads once, up to the size of `buffer`; returns the number of bytes. For sockets: one datagram. */
export const readInto = (fd: number, buffer: Uint8Array): number => readSync(fd, buffer, 0, buffer.length, null)

/** Writes all of `data` to an open file or socket. */
export const writeAll = (fd: number, data: Uint8Array | string): void => {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, null)
}

/** Everything that can be read from an open descriptor or a path, as bytes. */
export const readBytes = (file: number | string): Uint8Array => readFileSync(file)

/** A file's text, or undefined when there is no such file. */
export const readText = (path: string): string | undefined => tolerate(absent, () => readFileSync(path, 'utf8'))

/** Writes into an existing file such as one of /proc/sys, with a single write(2). */
export const writeExisting = (path: string, text: string): void => {
  const fd = openSync(path, constants.O_WRONLY)
  try { writeSync(fd, text) } finally { closeSync(fd) }
}

/** Creates a file that must not exist yet. @returns false, touching nothing, when it does */
export const createFile = (path: string, text: string, mode: number): boolean => {
  const fd = tolerate(['EEXIST'], () => openSync(path, 'wx', mode))
  if (fd === undefined) return false
  try {
    writeSync(fd, text)
  } catch (error) {
    unlinkSync(path) // an empty record would hold its place for ever
    throw Object.assign(error as Error, { path })
  } finally {
    closeSync(fd)
  }
  return true
}

/** Replaces a file in one step: readers see the old text or the new, never a part, also after a crash. */
export const replaceFile = (path: string, text: string | Uint8Array, mode: number): void => {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, text, { mode })
    renameSync(temporary, path)
  } catch (error) {
    tolerate(absent, () => unlinkSync(temporary))
    throw error
  }
}

/** Removes a file. @returns whether there was one */
export const removeFile = (path: string): boolean =>
  tolerate(absent, () => { unlinkSync(path); return true }) ?? false

/** Makes a directory and its parents; existing ones stay as they are. */
export const makeDirectory = (path: string, mode = 0o755): void => { mkdirSync(path, { recursive: true, mode }) }

/** The names in a directory, none when it does not exist. */
export const listDirectory = (path: string): string[] => tolerate(absent, () => readdirSync(path)) ?? []

/** Status of what a path leads to, through symbolic links; undefined when there is nothing. */
export const status = (path: string): FileStatus | undefined => {
  const found = tolerate(absent, () => statSync(path))
  return found && statusFrom(found)
}

/** Status of an open file. */
export const statusOf = (fd: number): FileStatus => statusFrom(fstatSync(fd))

/** Sets when a file was last changed, in whole seconds since the epoch. */
export const setModified = (path: string, seconds: number): void => utimesSync(path, seconds, seconds)

/** Some random bytes of the kernel's. */
export const readRandom = (size: number): Uint8Array => {
  const fd = openSync('/dev/urandom', 'r')
  try {
    const bytes = new Uint8Array(size)
    readSync(fd, bytes, 0, size, null)
    return bytes
  } finally {
    closeSync(fd)
  }
}

/** Writes a file in place, created with `mode` where there is none. */
export const writeText = (path: string, text: string, mode: number): void => writeFileSync(path, text, { mode })

/** Adds to the end of a file, created with `mode` where there is none. */
export const appendText = (path: string, text: string, mode: number): void => appendFileSync(path, text, { mode })

/** Whether files can be created in a directory, or changed, by this process. */
export const isWritable = (path: string): boolean =>
  tolerate(['EACCES', 'EROFS', 'EPERM', ...absent], () => { accessSync(path, constants.W_OK); return true }) ?? false
