// Takes away from a finished executable the environment variables through which Bun hands the process to somebody else.
// Authority: Bun 1.4.5, src/runtime/cli (BUN_BE_BUN, BUN_OPTIONS, BUN_INSPECT) and JSCInitialize() (BUN_JSC_*).
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'

/** Variables that Bun or its engine read with getenv(3), with what each of them would do to a plugin run as root. */
export const environmentDoors: Record<string, string> = {
  BUN_BE_BUN: 'turns the executable into the bun command line',
  BUN_OPTIONS: 'preloads a script, or prints Bun\'s version instead of running the plugin',
  BUN_INSPECT: 'opens a debugger port and may wait for a debugger for ever',
  BUN_INSPECT_CONNECT_TO: 'connects to a debugger',
  BUN_INSPECT_PRELOAD: 'preloads a script together with the debugger',
  BUN_BYTECODE_DIGEST_OUT: 'writes a file',
  BUN_BYTECODE_ORDER_OUT: 'writes a file',
  BUN_BYTECODE_ORDER_NAMES_OUT: 'writes a file',
  BUN_FEATURE_FLAG_NO_ORPHANS: 'kills child processes and ties the process to its parent',
  BUN_DESTRUCT_VM_ON_EXIT: 'slows the exit',
  NODE_CHANNEL_FD: 'takes a file descriptor for a message channel',
  JSC_SIGNAL_FOR_GC: 'aborts the process',
}

/**
 * The comparison of an environment entry with "BUN_JSC_", letter by letter, as the compiler lays it out on x86-64:
 * four times `cmpb $letter, offset(register); jne`, for the letters JSC_ at offsets 4 to 7.
 */
const engineOptionPrefix =
  /\x80[\x78-\x7f]\x04J\x75.\x41?\x80[\x78-\x7f]\x05S\x75.\x41?\x80[\x78-\x7f]\x06C\x75.\x41?\x80[\x78-\x7f]\x07_/gs

/** Where the letter J stands in a match of engineOptionPrefix. */
const letterOffset = 3

/** Offset of the only occurrence of `what`, or an error that says how many there were. */
function onlyOne(file: string, what: string, offsets: number[]): number {
  const [offset, ...others] = offsets
  if (offset === undefined || others.length > 0) {
    throw new Error(`${file}: expected ${what} once, found it ${offsets.length} times: ` +
      'not the version of Bun that tools/harden.ts was written for, or hardened before; check it by hand')
  }
  return offset
}

function offsetsOf(image: Buffer, bytes: Buffer): number[] {
  const offsets: number[] = []
  for (let at = image.indexOf(bytes); at >= 0; at = image.indexOf(bytes, at + 1)) offsets.push(at)
  return offsets
}

const PT_LOAD = 1 // elf.h

/**
 * The part of an ELF that is mapped first, where the runtime's constants are. Code of ours, which may have the same
 * words as text, is behind its data.
 */
function constantsOf(image: Buffer): Buffer {
  const [start, size, count] = [Number(image.readBigUInt64LE(0x20)), image.readUInt16LE(0x36), image.readUInt16LE(0x38)]
  const headers = Array.from({ length: count }, (_, i) => image.subarray(start + i * size, start + (i + 1) * size))
  const first = headers.find((header) => header.readUInt32LE(0) === PT_LOAD)!
  const offset = Number(first.readBigUInt64LE(8))
  return image.subarray(0, offset + Number(first.readBigUInt64LE(0x20)))
}

/**
 * Makes the executable `file` deaf to the variables above, in place and without changing its size.
 *
 * A name that begins with NUL is the empty name, for which getenv(3) returns NULL in glibc and musl alike; an engine
 * option would have to begin with "BUN_" and NUL. Nothing a caller can put into the environment matches either.
 *
 * @throws Error when the file is not an x86-64 ELF or when any of the places is not found exactly once; the file is
 *   then as it was.
 */
export function harden(file: string): void {
  const image = readFileSync(file)
  const machine = image.readUInt16LE(18)
  const x8664 = 62
  if (image.toString('latin1', 0, 4) !== '\x7fELF' || machine !== x8664) {
    throw new Error(`${file}: expected an x86-64 ELF, found machine ${machine}: add its pattern to tools/harden.ts`)
  }
  const constants = constantsOf(image)
  const places = Object.keys(environmentDoors).map((name) =>
    onlyOne(file, name, offsetsOf(constants, Buffer.from(`\0${name}\0`, 'latin1'))) + 1)
  const comparisons = [...image.toString('latin1').matchAll(engineOptionPrefix)].map((match) => match.index)
  places.push(onlyOne(file, 'the comparison with BUN_JSC_', comparisons) + letterOffset)
  for (const place of places) image[place] = 0
  writeFileSync(file, image)
}

if (import.meta.main) for (const file of argv.slice(2)) harden(file)
