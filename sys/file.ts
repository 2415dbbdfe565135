// Files, synchronously. What every call of a plugin does goes to libc directly; the rest loads node:fs when it is
// needed.
import { errnoOf, tolerate } from './errno.ts'
import { close, isReadable, openFile, openFlags, read, setTimes, statx, unlink, write } from './libc.ts'
import { sleep } from './sleep.ts'

export { close }

const slowly = () => process.getBuiltinModule('node:fs')

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

// include/uapi/linux/stat.h
const S_IFMT = 0o170000
const S_IFREG = 0o100000
const S_IFCHR = 0o020000

/** As stat(1) prints it: makedev(3). */
const deviceNumber = (major: number, minor: number): number =>
  minor % 256 + major * 256 + Math.floor(minor / 256) * 2 ** 20

/** Reads a struct statx: offsets of include/uapi/linux/stat.h, the same on every machine. */
const statusFrom = (found: Uint8Array): FileStatus => {
  const view = new DataView(found.buffer)
  const mode = view.getUint16(28, true)
  return {
    device: deviceNumber(view.getUint32(136, true), view.getUint32(140, true)),
    inode: Number(view.getBigUint64(32, true)),
    isFile: (mode & S_IFMT) === S_IFREG,
    isDevice: (mode & S_IFMT) === S_IFCHR,
    modified: Number(view.getBigInt64(112, true)) * 1000 + view.getUint32(120, true) / 1e6,
    mode: mode & 0o7777,
  }
}

const absent = ['ENOENT', 'ENOTDIR']

/**
 * Opens an existing file for reading, without waiting where somebody has put a pipe in its place.
 * @throws SyscallError
 */
export const open = (path: string): number => openFile(path, openFlags.read | openFlags.nonblock)

/** Opens an existing file for writing. @throws SyscallError */
export const openExisting = (path: string): number => openFile(path, openFlags.write | openFlags.nonblock)

/** Opens a file for reading, creating an empty one with `mode` where there is none. */
export const openOrCreate = (path: string, mode: number): number =>
  openFile(path, openFlags.read | openFlags.create, mode)

/** Standard input and output may have been made non-blocking by whoever shares them. */
const patiently = (step: () => number): number => {
  for (;;) {
    try {
      return step()
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error
      sleep(1)
    }
  }
}

/** Reads once, up to the size of `buffer`; returns the number of bytes. For sockets: one datagram. */
export const readInto = (fd: number, buffer: Uint8Array): number => patiently(() => read(fd, buffer))

const utf8 = new TextEncoder()

/** Writes all of `data` to an open file or socket. */
export const writeAll = (fd: number, data: Uint8Array | string): void => {
  const bytes = typeof data === 'string' ? utf8.encode(data) : data
  for (let at = 0; at < bytes.length;) at += patiently(() => write(fd, bytes.subarray(at)))
}

const using = <T>(fd: number, step: (fd: number) => T): T => {
  try {
    return step(fd)
  } finally {
    close(fd)
  }
}

/** A failed read or write knows its descriptor only; people want the file's name. */
const named = <T>(path: string, step: () => T): T => {
  try {
    return step()
  } catch (error) {
    throw error instanceof Error && !('path' in error && error.path)
      ? Object.assign(error, { path, message: `${path}: ${error.message}` })
      : error
  }
}

const readAll = (fd: number): Uint8Array => {
  let bytes = new Uint8Array(4096)
  for (let length = 0; ;) {
    const count = readInto(fd, bytes.subarray(length))
    if (count === 0) return bytes.subarray(0, length)
    length += count
    if (length < bytes.length) continue
    const larger = new Uint8Array(4 * bytes.length)
    larger.set(bytes)
    bytes = larger
  }
}

/**
 * What can be read from an open descriptor before it stays silent for some milliseconds: for readers that would rather
 * do without than wait.
 */
export const readPromptly = (fd: number, patience: number): Uint8Array => {
  let bytes = new Uint8Array()
  while (isReadable(fd, patience)) {
    const chunk = new Uint8Array(4096)
    const count = readInto(fd, chunk)
    if (count === 0) break
    const longer = new Uint8Array(bytes.length + count)
    longer.set(bytes)
    longer.set(chunk.subarray(0, count), bytes.length)
    bytes = longer
  }
  return bytes
}

/** Everything that can be read from an open descriptor or a path, as bytes. */
export const readBytes = (file: number | string): Uint8Array =>
  typeof file === 'number' ? readAll(file) : named(file, () => using(open(file), readAll))

/** A file's text, or undefined when there is no such file. */
export const readText = (path: string): string | undefined =>
  tolerate(absent, () => new TextDecoder().decode(readBytes(path)))

/** Writes into an existing file such as one of /proc/sys, with a single write(2). */
export const writeExisting = (path: string, text: string): void =>
  named(path, () => using(openFile(path, openFlags.write), fd => writeAll(fd, text)))

/** Creates a file that must not exist yet. @returns false, touching nothing, when it does */
export const createFile = (path: string, text: string, mode: number): boolean => {
  const fd = tolerate(['EEXIST'], () => openFile(path, openFlags.write | openFlags.create | openFlags.exclusive, mode))
  if (fd === undefined) return false
  try {
    named(path, () => using(fd, () => writeAll(fd, text)))
  } catch (error) {
    unlink(path) // an empty record would hold its place for ever
    throw error
  }
  return true
}

const writeWith = (flags: number, path: string, text: string, mode: number): void =>
  named(path, () => using(openFile(path, openFlags.write | openFlags.create | flags, mode), fd => writeAll(fd, text)))

/** Writes a file in place, created with `mode` where there is none. */
export const writeText = (path: string, text: string, mode: number): void =>
  writeWith(openFlags.truncate, path, text, mode)

/** Adds to the end of a file, created with `mode` where there is none. */
export const appendText = (path: string, text: string, mode: number): void =>
  writeWith(openFlags.append, path, text, mode)

/** Replaces a file in one step: readers see the old text or the new, never a part, also after a crash. */
export const replaceFile = (path: string, text: string, mode: number): void => {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    writeText(temporary, text, mode)
    slowly().renameSync(temporary, path)
  } catch (error) {
    removeFile(temporary)
    throw error
  }
}

/** Removes a file. @returns whether there was one */
export const removeFile = (path: string): boolean => tolerate(absent, () => { unlink(path); return true }) ?? false

/** Status of what a path leads to, through symbolic links; undefined when there is nothing. */
export const status = (path: string): FileStatus | undefined => {
  const found = tolerate(absent, () => statx(path))
  return found && statusFrom(found)
}

/** Status of an open file. */
export const statusOf = (fd: number): FileStatus => statusFrom(statx(fd))

/** Makes a directory and its parents; existing ones stay as they are. */
export const makeDirectory = (path: string, mode = 0o755): void => {
  if (status(path) === undefined) slowly().mkdirSync(path, { recursive: true, mode })
}

/** The names in a directory, none when it does not exist. */
export const listDirectory = (path: string): string[] => tolerate(absent, () => slowly().readdirSync(path)) ?? []

/** Where a symbolic link points, undefined when there is none of that path. */
export const readLink = (path: string): string | undefined => tolerate(absent, () => slowly().readlinkSync(path))

/** Sets when a file was last changed, in whole seconds since the epoch. */
export const setModified = setTimes

/** Some random bytes of the kernel's. */
export const readRandom = (size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  using(open('/dev/urandom'), fd => readInto(fd, bytes))
  return bytes
}

/** Whether files can be created in a directory, or changed, by this process. */
export const isWritable = (path: string): boolean => {
  const { accessSync, constants } = slowly()
  return tolerate(['EACCES', 'EROFS', 'EPERM', ...absent], () => {
    accessSync(path, constants.W_OK)
    return true
  }) ?? false
}
