// tc: queueing disciplines and the filter that shaping needs. Names and numbers follow the kernel's tc netlink spec
// (Documentation/netlink/specs/tc.yaml) and include/uapi/linux/pkt_sched.h, pkt_cls.h, tc_act/tc_mirred.h.
import { errnoOf } from '#sys/errno.ts'
import { attrs, byKind, nest, sparse, struct } from '../attrs.ts'
import { bytes, i32, text, u16, u32, u64, u8 } from '../codec.ts'
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'

const RTM_NEWQDISC = 36
const RTM_DELQDISC = 37
const RTM_GETQDISC = 38
const RTM_NEWTFILTER = 44
const RTM_GETTFILTER = 46

const TC_H_ROOT = 0xffffffff
const TC_H_INGRESS = 0xfffffff1
/** The handle of our buckets, `1ead:`, which tells them from others': those that the kernel gives begin at 8000:. */
const ROOT_HANDLE = 0x1ead0000
/** That of the reference plugin's, `1:`. */
export const REFERENCE_HANDLE = 0x10000
const INGRESS_HANDLE = 0xffff0000

const tcmsg = struct({ family: u8, pad1: u8, pad2: u16, index: i32, handle: u32, parent: u32, info: u32 })

/** struct tc_tbf_qopt: two struct tc_ratespec, then limit, buffer, mtu. */
const tbfParms = struct({
  cellLog: u8, linklayer: u8, overhead: u16, cellAlign: u16, mpu: u16, rate: u32,
  peakCellLog: u8, peakLinklayer: u8, peakOverhead: u16, peakCellAlign: u16, peakMpu: u16, peakRate: u32,
  limit: u32, buffer: u32, mtu: u32,
})

const disciplines = {
  tbf: attrs({ parms: [1, sparse(tbfParms)], rate64: [4, u64], burst: [6, u32] }),
  ingress: attrs({}),
}
const disciplineAttrs = byKind(1, 2, disciplines)

/** A token bucket: bytes per second, bytes that may pass at once, bytes that may wait. */
export interface Bucket { readonly rate: number; readonly burst: number; readonly limit: number }

/** A discipline as the kernel has it. Of a bucket it does not tell the burst but the time that this takes. */
export interface Discipline {
  readonly index: number
  readonly kind: string
  readonly handle: number
  readonly root: boolean
  readonly rate: number | undefined
  readonly limit: number | undefined
}

const LARGEST = 0xffffffff
/** The index of `lo` in every namespace. */
const LOOPBACK = 1

const request = (
  operation: string, type: number, flag: number, head: Parameters<typeof tcmsg.encode>[1],
  body: Request['body'] = () => {},
): Request => ({
  operation, type, flags: flag,
  body(out) {
    tcmsg.encode(out, head)
    body(out)
  },
})

/** struct tc_mirred. */
const mirredParms = struct({
  index: u32, capab: u32, action: i32, refcount: i32, bindcount: i32, direction: i32, to: u32,
})
const TC_ACT_STOLEN = 4
const TCA_EGRESS_REDIR = 1

const actionAttrs = attrs({ kind: [1, text], options: [2, nest(attrs({ parms: [2, sparse(mirredParms)] }))] })
/** struct tc_u32_sel with one key that matches every packet: no bit of it counts. */
const everything = Uint8Array.of(1, 0, 1, ...new Uint8Array(13 + 16))
const u32Attrs = attrs({
  classId: [1, u32], selector: [5, bytes], actions: [7, nest(attrs({ first: [1, nest(actionAttrs)] }))],
})
const filterAttrs = attrs({ kind: [1, text], options: [2, nest(u32Attrs)] })
const CLASS = 0x10001
const PRIORITY = 1
const ETH_P_ALL_BE = 0x0300

/** The `tc` of one network namespace. */
export class Traffic {
  readonly #socket: Socket
  constructor(socket: Socket) { this.#socket = socket }

  /**
   * tc qdisc add dev DEV root handle 1ead: tbf rate RATE burst BURST limit LIMIT.
   * @throws NetlinkError EEXIST when the link has a discipline besides the kernel's own
   */
  shape(index: number, { rate, burst, limit }: Bucket): void {
    const options = {
      kind: 'tbf', parms: { rate: Math.min(rate, LARGEST), limit: Math.min(limit, LARGEST) }, burst,
      rate64: rate > LARGEST ? BigInt(rate) : undefined,
    } as const
    const head = { index, handle: ROOT_HANDLE, parent: TC_H_ROOT }
    this.#socket.request(request(
      `qdisc add dev ${index} root tbf`, RTM_NEWQDISC, flags.create | flags.excl, head,
      out => disciplineAttrs.encode(out, options),
    ))
  }

  /** tc qdisc add dev DEV ingress; tc filter add … u32 match u32 0 0 action mirred egress redirect dev TO. */
  redirect(index: number, to: number): void {
    const head = { index, handle: INGRESS_HANDLE, parent: TC_H_INGRESS }
    this.#socket.request(request(
      `qdisc add dev ${index} ingress`, RTM_NEWQDISC, flags.create | flags.excl, head,
      out => disciplineAttrs.encode(out, { kind: 'ingress' }),
    ))
    const parms = { action: TC_ACT_STOLEN, direction: TCA_EGRESS_REDIR, to }
    const first = { kind: 'mirred', options: { parms } }
    this.#socket.request(request(
      `filter add dev ${index} ingress`, RTM_NEWTFILTER, flags.create | flags.excl,
      { index, parent: INGRESS_HANDLE, info: PRIORITY << 16 | ETH_P_ALL_BE },
      out => filterAttrs.encode(out, {
        kind: 'u32', options: { classId: CLASS, selector: everything, actions: { first } },
      }),
    ))
  }

  /** tc qdisc del dev DEV root handle HANDLE. @throws NetlinkError ENOENT or EINVAL when there is none of it */
  unshape(index: number, handle = ROOT_HANDLE): void {
    const head = { index, handle, parent: TC_H_ROOT }
    this.#socket.request(request(`qdisc del dev ${index} root`, RTM_DELQDISC, 0, head))
  }

  /** tc qdisc del dev DEV ingress. @throws NetlinkError EINVAL or ENOENT when there is none */
  endRedirect(index: number): void {
    this.#socket.request(request(`qdisc del dev ${index} ingress`, RTM_DELQDISC, 0, { index, parent: TC_H_INGRESS }))
  }

  /** Whether this kernel has token buckets: it refuses one without parameters, but not as something unknown. */
  supportsShaping(): boolean {
    const head = { index: LOOPBACK, handle: ROOT_HANDLE, parent: TC_H_ROOT }
    try {
      this.#socket.request(request(
        'qdisc add dev lo root tbf', RTM_NEWQDISC, flags.create | flags.excl, head,
        out => disciplineAttrs.encode(out, { kind: 'tbf' }),
      ))
    } catch (error) {
      return !['ENOENT', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')
    }
    this.unshape(LOOPBACK)
    return true
  }

  /** tc qdisc show dev DEV. */
  list(index: number): Discipline[] {
    const replies = this.#socket.request(request('qdisc show', RTM_GETQDISC, flags.dump, { index }))
    return replies.map(({ body }) => {
      const head = tcmsg.decode(body)
      const found = disciplineAttrs.decode(body.subarray(tcmsg.size))
      const { parms = {}, rate64 = undefined } = found.kind === 'tbf' ? found : {}
      return {
        index: head.index, kind: found.kind, handle: head.handle, root: head.parent === TC_H_ROOT, limit: parms.limit,
        rate: rate64 === undefined ? parms.rate : Number(rate64),
      }
    }).filter(found => found.index === index)
  }

  /** The link that `redirect` sends a link's packets to, 0 when that is gone; undefined when no filter does so. */
  redirectedTo(index: number): number | undefined {
    const replies = this.#socket.request(
      request('filter show', RTM_GETTFILTER, flags.dump, { index, parent: INGRESS_HANDLE }))
    for (const { body } of replies) {
      const to = filterAttrs.decode(body.subarray(tcmsg.size)).options?.actions?.first?.options?.parms?.to
      if (to !== undefined) return to
    }
    return undefined
  }
}
