// The records of one network on disk, file for file those of the reference (plugins/ipam/host-local/backend/disk),
// which may run at the same time: one file per address that holds `CONTAINER\r\nIFNAME`, `last_reserved_ip.N`, `lock`.
import { tolerate } from '#sys/errno.ts'
import { createFile, listDirectory, makeDirectory, readText, removeFile, status, writeText } from '#sys/file.ts'
import { Lock } from '#sys/lock.ts'
import { parseIp } from '#netlink/ip.ts'
import { bootRecord, leftoverUntil, thisBoot, type Boot } from './boot.ts'
import { Holders, holdersDirectory } from './holders.ts'

const RECORD_MODE = 0o600

/** What a record of an attachment says. */
export const recordOf = (containerId: string, ifName: string): string => `${containerId}\r\n${ifName}`

/**
 * Whether an address is kept for a container of another host, `HOST/CONTAINER`: only the agent knows how long. No
 * container's id has a slash.
 */
export const isGuest = (record: string | undefined): boolean => record?.split('\r\n')[0]!.includes('/') === true

// For thousands of names cheaper than reading them as addresses; what is removed unasked is looked at closely first.
const looksLikeAddress = /^(?:(?:\d+\.){3}\d+|[\da-fA-F:.]*:[\da-fA-F:.]*)$/

/** The addresses that are recorded in a directory, as the names of their files. */
export const recordedIn = (directory: string): string[] =>
  listDirectory(directory).filter(name => looksLikeAddress.test(name))

const isLeftover = (path: string, until: number): boolean => (status(path)?.modified ?? until) < until

/** The recorded addresses that an ADD would find in use. Touches nothing. */
export const inUse = (directory: string, boot: Boot = thisBoot): string[] => {
  const names = recordedIn(directory)
  const until = leftoverUntil(readText(`${directory}/lock`) ?? '', boot)
  return until === undefined ? names : names.filter(name => !isLeftover(`${directory}/${name}`, until))
}

/** A network's records, locked against every other process until disposed. */
export class Store implements Disposable {
  readonly #directory: string
  readonly #boot: Boot
  readonly #copies: string
  readonly #lock: Lock
  #holders: Holders | undefined
  /** Whether `#holders` was valid when the store was opened. */
  #trusted: boolean
  #changed = false

  /** @param copies where copies of what the records say are kept */
  private constructor(directory: string, boot: Boot, copies: string) {
    this.#directory = directory
    this.#boot = boot
    this.#copies = copies
    this.#lock = Lock.on(this.#path('lock'))
    this.#holders = Holders.load(directory, boot.id, copies)
    this.#trusted = this.#holders !== undefined
  }

  /** Opens the store in a directory, making both where there is none. Waits for other users. */
  static open(directory: string, boot: Boot = thisBoot, copies: string = holdersDirectory): Store {
    makeDirectory(directory)
    return new Store(directory, boot, copies)
  }

  /** The same, undefined when there is no such directory: whoever releases creates nothing. */
  static openExisting(directory: string, boot: Boot = thisBoot, copies: string = holdersDirectory): Store | undefined {
    return status(directory) && new Store(directory, boot, copies)
  }

  [Symbol.dispose](): void { this.#lock[Symbol.dispose]() }

  #path(name: string): string { return `${this.#directory}/${name}` }

  /** What an address's record says, undefined when there is none. Blanks around it do not count. */
  record(address: string): string | undefined {
    // A directory, a looping link: nobody's record, but it keeps its address from being handed out.
    return tolerate(['EISDIR', 'ELOOP', 'ENXIO'], () => readText(this.#path(address)))?.trim()
  }

  /** Every address with what its record says. */
  records(): [string, string][] {
    return recordedIn(this.#directory).flatMap(address => {
      const record = this.record(address)
      return record === undefined ? [] : [[address, record]]
    })
  }

  #find(record: string): string[] {
    const known = this.#holders?.find(record)
    if (known?.every(address => this.record(address) === record)) return known
    this.#trusted = false
    this.#holders = Holders.from(this.records())
    return this.#holders.find(record)
  }

  /** The addresses of an attachment. A record without interface name, as old releases wrote it, belongs to any. */
  held(containerId: string, ifName: string): string[] {
    const own = this.#find(recordOf(containerId, ifName))
    return own.length > 0 ? own : this.#find(containerId)
  }

  /** Records an address for an attachment. @returns false when it is taken */
  reserve(address: string, containerId: string, ifName: string): boolean {
    const record = recordOf(containerId, ifName)
    if (!createFile(this.#path(address), record, RECORD_MODE)) return false
    this.#changed = true
    this.#holders?.add(address, record)
    return true
  }

  /** Removes an address's record. */
  release(address: string): void {
    const record = this.record(address)
    if (record === undefined || !removeFile(this.#path(address))) return
    this.#changed = true
    this.#holders?.remove(address, record)
  }

  /**
   * Removes the empty records of calls that were killed before they wrote them: nobody is writing while the store is
   * locked. One with other permissions is somebody's way to keep an address from being handed out.
   */
  sweep(): void {
    if (this.#trusted) return
    const abandoned = this.#find('').filter(address => status(this.#path(address))?.mode === RECORD_MODE)
    for (const address of abandoned) this.release(address)
  }

  /**
   * Removes every record of a container of this host that is not live.
   * @param attempt runs one removal; a failure must not stop the others
   */
  retain(isLive: (record: string) => boolean, attempt: (step: () => void) => void): void {
    const dead = this.records().filter(([address, record]) => !isLive(record) && !isGuest(record) && parseIp(address))
    this.#holders = undefined
    for (const [address] of dead) attempt(() => this.release(address))
  }

  /** The address that range set `set` handed out last. */
  last(set: number): string | undefined { return readText(this.#path(`last_reserved_ip.${set}`))?.trim() }

  setLast(set: number, address: string): void { writeText(this.#path(`last_reserved_ip.${set}`), address, 0o600) }

  /** The names of all files, those of recorded addresses among them. */
  taken(): Set<string> { return new Set(listDirectory(this.#directory)) }

  /** Once in every boot: removes what containers of an earlier one have left, and notes the boot. */
  reclaim(): void {
    if (this.#trusted) return
    const found = readText(this.#path('lock')) ?? ''
    const current = bootRecord(this.#boot)
    if (found === current) return
    const until = leftoverUntil(found, this.#boot)
    if (until !== undefined) {
      const old = recordedIn(this.#directory).filter(name => parseIp(name) && isLeftover(this.#path(name), until))
      for (const address of old) if (!isGuest(this.record(address))) this.release(address)
    }
    writeText(this.#path('lock'), current, 0o600)
  }

  /** Ends a change: the next call need not read every record. Nothing is lost when it is not reached. */
  settle(): void {
    if (this.#trusted && !this.#changed) return
    // A valid copy also says that `reclaim` has been done in this boot.
    if (!this.#trusted && readText(this.#path('lock')) !== bootRecord(this.#boot)) return
    this.#holders ??= Holders.from(this.records())
    this.#holders.save(this.#directory, this.#boot.id, this.#copies)
    this.#trusted = true
    this.#changed = false
  }
}
