// What a host's record may say: whatever else stands in the store reaches neither the kernel nor the other hosts'
// entries, for one record that nobody can use must not keep all others from their place.
import type { Peer } from '#net/overlay-peer.ts'
import { formatIp, parseIp, type Family } from '#netlink/ip.ts'
import { recordOf, type HostRecord } from './records.ts'
import { reservedAround } from './reserved.ts'
import type { Entry } from './store/store.ts'

const lengths = { ipv4: 4, ipv6: 16 } as const

const isTunnelEnd = (text: unknown, family: Family): text is string => {
  const bytes = typeof text === 'string' ? parseIp(text) : undefined
  if (bytes === undefined || bytes.length !== lengths[family]) return false
  // What is read as IPv4 has but one text.
  if (family === 'ipv6' && formatIp(bytes) !== text) return false
  return reservedAround({ family, bytes, length: 8 * bytes.length }) === undefined
}

/** Of one station, not of a group, and not zero; in the form that we write. */
const station = /^(?!00:00:00:00:00:00)[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/

const isHardwareAddress = (text: unknown): text is string => typeof text === 'string' && station.test(text)

export type HostView = Partial<Pick<HostRecord, 'token' | 'vtep4' | 'vtep6' | 'mac'>> & Pick<Peer, 'wireguard'>

const KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/ // base64 of 32 bytes

/** A host's part in encryption; a key or a port that is none counts as missing. */
const wireguardIn = ({ wireguardKey: key, wireguardPort: port = 0 }: Partial<HostRecord>): Peer['wireguard'] =>
  typeof key === 'string' && KEY.test(key) && Number.isInteger(port) && port > 0 && port < 65536
    ? { key, port } : undefined

/** What other hosts can use of a host's record. */
export const hostView = (entry: Entry): HostView => {
  const record = recordOf<HostRecord>(entry)
  const { token, vtep4, vtep6, mac } = record
  const wireguard = wireguardIn(record)
  return {
    ...isTunnelEnd(vtep4, 'ipv4') && { vtep4 }, ...isTunnelEnd(vtep6, 'ipv6') && { vtep6 },
    ...isHardwareAddress(mac) && { mac }, ...typeof token === 'string' && { token },
    ...wireguard && { wireguard },
  }
}
