// The process at the other end of a tap, as a virtual machine would be: answers ARP and ICMP echo for one address.
// argv: the tap's name, its flags, and the address; descriptor 3 is /dev/net/tun, opened in the tap's namespace.
import { errnoOf, tolerate } from '#sys/errno.ts'
import { isReadable, ioctl, read, write } from '#sys/libc.ts'
import { parseIp } from '#netlink/ip.ts'

const [, , name = '', flags = '', address = ''] = process.argv
const TUN = 3
const TUNSETIFF = 0x400454ca // include/uapi/linux/if_tun.h
const mac = [0x02, 0, 0, 0, 0, 0x99]
const own = parseIp(address)!

const request = new Uint8Array(40)
new TextEncoder().encodeInto(name, request)
new DataView(request.buffer).setUint16(16, Number(flags), true)

const isFor = (frame: Uint8Array, at: number): boolean => own.every((byte, i) => frame[at + i] === byte)

/** RFC 826: the sender becomes the target, and we the sender. */
const answerArp = (frame: Uint8Array): Uint8Array => {
  const answer = frame.slice(0, 42)
  answer.set(frame.subarray(6, 12), 0)
  answer.set(mac, 6)
  answer[21] = 2
  answer.set([...mac, ...own], 22)
  answer.set(frame.subarray(22, 32), 32)
  return answer
}

/** RFC 792: the same packet back; its checksum (RFC 1624) grows by what the type has lost. */
const answerEcho = (frame: Uint8Array): Uint8Array => {
  const answer = frame.slice()
  answer.set(frame.subarray(6, 12), 0)
  answer.set(mac, 6)
  answer.set(frame.subarray(30, 34), 26)
  answer.set(frame.subarray(26, 30), 30)
  answer[34] = 0
  const sum = frame[36]! * 256 + frame[37]! + 0x800
  const folded = sum > 0xffff ? sum - 0xffff : sum
  answer.set([folded >> 8, folded & 0xff], 36)
  return answer
}

const answerTo = (frame: Uint8Array): Uint8Array | undefined => {
  const type = frame[12]! * 256 + frame[13]!
  if (type === 0x0806 && frame[21] === 1 && isFor(frame, 38)) return answerArp(frame)
  return type === 0x0800 && frame[23] === 1 && frame[34] === 8 && isFor(frame, 30) ? answerEcho(frame) : undefined
}

try {
  ioctl(TUN, TUNSETIFF, request)
} catch (error) {
  console.log(`refused ${errnoOf(error)}`)
  process.exit(1)
}
console.log('open')
const parent = process.ppid
const buffer = new Uint8Array(2048)
// The tap may be removed at any time: EBADFD.
tolerate(['EBADFD', 'EIO'], () => {
  while (process.ppid === parent) {
    if (!isReadable(TUN, 200)) continue
    const answer = answerTo(buffer.slice(0, read(TUN, buffer)))
    if (answer) write(TUN, answer)
  }
})
