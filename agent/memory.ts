// What a host knows without the store: its name, and what is its own. It survives restarts, and a store that does not.
import { dirname } from 'node:path'
import { makeDirectory, readRandom, readText } from '#sys/file.ts'
import { replaceDurably } from './durable-file.ts'
import type { NetworkConfig } from './network.ts'
import type { StaticRecord } from './records.ts'

/** The part of a network that is this host's. */
export interface Share {
  readonly config: NetworkConfig
  /** Blocks that may be used: the store said so, and has not been asked to take them back. */
  readonly blocks: readonly string[]
  readonly statics: readonly StaticRecord[]
  /** Blocks that another host took over while this one was away: containers may still use them, new ones must not. */
  readonly lost: readonly string[]
}

export interface Memory {
  readonly host: string
  /** Random: another machine of the same name has another one. */
  readonly token: string
  /** The cluster that this host belongs to; none before it has joined one. */
  readonly cluster?: string
  /** The highest revision of the store that was seen. */
  readonly revision: number
  readonly shares: Readonly<Record<string, Share>>
}

/** Keeps a memory. What was written is there after a crash. */
export interface MemoryKeeper {
  read(): Memory | undefined
  write(memory: Memory): void
}

/** A memory in a file. @throws SyscallError, SyntaxError when the file is no JSON */
export const memoryFile = (path: string): MemoryKeeper => ({
  read() {
    const text = readText(path)
    return text === undefined ? undefined : JSON.parse(text) as Memory
  },
  write(memory) {
    makeDirectory(dirname(path), 0o700)
    replaceDurably(path, `${JSON.stringify(memory)}\n`)
  },
})

/** The memory of a host that has none yet. */
export const newMemory = (host: string): Memory =>
  ({ host, token: Buffer.from(readRandom(16)).toString('hex'), revision: 0, shares: {} })

/** With another share of a network; undefined drops it. */
export const withShare = (memory: Memory, network: string, share: Share | undefined): Memory => {
  const { [network]: _, ...others } = memory.shares
  return { ...memory, shares: share === undefined ? others : { ...others, [network]: share } }
}
