// Which boot of which machine this is. Containers do not outlive it, but their records do: without this they fill the
// ranges reboot after reboot (containernetworking/plugins#252, #1196).
//
// The record of the last boot is the text of `lock`: programs that read the store skip that file by name, while a file
// of our own would be one more to trip over. The reference reads it too, but compares the whole text with a container
// id, which contains no spaces. Only the first use in a boot frees anything, so a clock that is set while containers
// run cannot make their records look old; and only on the machine that wrote the text, because a store on a network
// file system belongs to several. It is read only when the copy in /run (holders.ts) does not count; that one
// names its boot too.
import { readText } from '#sys/file.ts'

export interface Boot {
  /** Changes with every start of the kernel: random(4). */
  readonly id: string
  /** machine-id(5), empty where there is none. */
  readonly machine: string
  /** When the kernel started, in milliseconds since the epoch. */
  readonly since: number
}

const line = (path: string): string => (readText(path) ?? '').trim()

let bootId: string | undefined

/** The boot that this process lives in; read when asked for, because most calls need nothing but `id`. */
export const thisBoot: Boot = {
  get id() { return bootId ??= line('/proc/sys/kernel/random/boot_id') },
  get machine() { return line('/etc/machine-id') },
  get since() { return Date.now() - 1000 * parseFloat(line('/proc/uptime')) },
}

/** What `lock` says after a use in this boot. */
export const bootRecord = ({ id, machine }: Boot): string => `boot ${id} machine ${machine || 'unknown'}\n`

// The clock may have been corrected a little since the kernel started.
const SLACK_MS = 60_000

/**
 * Until when records are left over from an earlier boot, in milliseconds since the epoch.
 * @param found the text of `lock`
 * @returns undefined when none are: the store was used in this boot, by the reference alone, or on another machine
 */
export const leftoverUntil = (found: string, boot: Boot): number | undefined => {
  const [, id, machine] = /^boot (\S+) machine (\S+)\n$/.exec(found) ?? []
  if (id === undefined || id === boot.id || machine !== boot.machine) return undefined
  return boot.since - SLACK_MS
}
