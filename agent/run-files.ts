// The files that say to the plugins what this host has of each network.
import { runFilePath, type PoolRun, type RunFile } from '#cni/cluster/run-file.ts'
import { tolerate } from '#sys/errno.ts'
import { makeDirectory, readText, removeFile, replaceFile, setModified, status, writeText } from '#sys/file.ts'
import type { Share } from './memory.ts'
import type { Settings } from './settings.ts'

const PRIVATE = 0o700

/** What the file of any network says. */
export type Part = Pick<PoolRun, 'network' | 'blocks' | 'reserved' | 'statics' | 'grace' | 'drained'>

/** The file of a pool: there is nothing in the kernel to be told of. */
export const poolRun = ({ config }: Share, part: Part): PoolRun | undefined =>
  config.addressing === 'pool' ? { addressing: config.addressing, ranges: config.ranges, ...part } : undefined

export class RunFiles {
  readonly #directory: string
  /** Seconds after which the cluster gives the addresses of a silent host to others. */
  readonly #grace: number
  /** Its time is when the store last heard of this host; it survives a reboot as the addresses do. */
  readonly #sign: string

  constructor({ runDirectory, stateDirectory, gracePeriod }: Settings) {
    this.#directory = runDirectory
    this.#grace = gracePeriod / 1000
    this.#sign = `${stateDirectory}/heard`
    makeDirectory(runDirectory, PRIVATE)
  }

  /**
   * What a share comes to.
   * @param reserved addresses of its blocks that containers of other hosts have
   * @param drained why this host hands out none
   */
  part(network: string, { blocks, statics }: Share, reserved: readonly string[], drained: string | undefined): Part {
    return {
      network, blocks, reserved: [...new Set(reserved)].sort(),
      statics: statics.filter(({ granted }) => granted).map(({ ip, container, ifname }) => ({ ip, container, ifname })),
      grace: this.#grace, ...drained === undefined ? {} : { drained },
    }
  }

  /** Writes a file, if there is one yet, when something in it is new. */
  write(file: RunFile | undefined): void {
    if (file === undefined) return
    const path = runFilePath(this.#directory, file.network)
    const text = `${JSON.stringify(file, undefined, 2)}\n`
    if (readText(path) === text) return
    makeDirectory(this.#directory, PRIVATE)
    replaceFile(path, text, 0o600)
    setModified(path, Math.floor((status(this.#sign)?.modified ?? Date.now()) / 1000))
  }

  /** The store has just heard of this host. */
  confirm(networks: Iterable<string>): void {
    const now = Math.floor(Date.now() / 1000)
    if (status(this.#sign) === undefined) writeText(this.#sign, '', 0o600)
    setModified(this.#sign, now)
    for (const network of networks)
      tolerate(['ENOENT'], () => setModified(runFilePath(this.#directory, network), now))
  }

  /** Has the plugin ask before it hands out another address of a network. */
  withdraw(network: string): void { removeFile(runFilePath(this.#directory, network)) }
}
