// ip rule. Names and numbers follow the kernel's rt-rule netlink spec (Documentation/netlink/specs/rt-rule.yaml).
import { tolerate } from '#sys/errno.ts'
import { attrs, struct } from '../attrs.ts'
import { ip, u32, u8 } from '../codec.ts'
import { familyNumber, familyOf, type Family } from '../ip.ts'
import { flags, type Request } from '../message.ts'
import type { Socket } from '../socket.ts'

const RTM_NEWRULE = 32
const RTM_DELRULE = 33
const RTM_GETRULE = 34

const fibRuleHeader = struct({
  family: u8, dstLength: u8, srcLength: u8, tos: u8, table: u8, res1: u8, res2: u8, action: u8, flags: u32,
})
const ruleAttrs = attrs({ src: [2, ip], priority: [6, u32], table: [15, u32] })

// include/uapi/linux/fib_rules.h and rtnetlink.h
const FR_ACT_TO_TBL = 1
const RT_TABLE_UNSPEC = 0

/** A rule that sends packets from an address or prefix, `10.1.2.3/32`, to a routing table. */
export interface Rule { readonly from: string; readonly table: number }

/** A rule as the kernel has it; without `from` it is for all packets of its family. */
export interface RuleInfo {
  readonly family: Family
  readonly from: string | undefined
  readonly table: number
  readonly priority: number
}

const request = (operation: string, type: number, flag: number, { from, table }: Rule): Request => {
  const [src = '', length = ''] = from.split('/')
  return {
    operation: `${operation} from ${from} lookup ${table}`, type, flags: flag,
    body(out) {
      fibRuleHeader.encode(out, {
        family: familyNumber(familyOf(src)), srcLength: Number(length), action: FR_ACT_TO_TBL,
        table: table < 256 ? table : RT_TABLE_UNSPEC,
      })
      ruleAttrs.encode(out, { src, table })
    },
  }
}

/** The `ip rule` of one network namespace. */
export class Rules {
  readonly #socket: Socket
  constructor(socket: Socket) { this.#socket = socket }

  /** ip rule add, before those that are there already, as the kernel does without a priority. */
  add(rule: Rule): void {
    this.#socket.request(request('rule add', RTM_NEWRULE, flags.create | flags.excl, rule))
  }

  /** ip rule del. @throws NetlinkError ENOENT when there is none */
  del(rule: Rule): void { this.#socket.request(request('rule del', RTM_DELRULE, 0, rule)) }

  /** ip rule show, of both families; none of IPv6 where it is switched off. */
  list(): RuleInfo[] {
    return (['ipv4', 'ipv6'] as const).flatMap(family => this.#dump(family).map(body => {
      const head = fibRuleHeader.decode(body)
      const { src, priority = 0, table } = ruleAttrs.decode(body.subarray(fibRuleHeader.size))
      return { family, from: src && `${src}/${head.srcLength}`, table: table ?? head.table, priority }
    }))
  }

  #dump(family: Family): readonly Uint8Array[] {
    return tolerate(['EAFNOSUPPORT', 'EOPNOTSUPP'], () => this.#socket.request({
      operation: 'rule show', type: RTM_GETRULE, flags: flags.dump,
      body: out => fibRuleHeader.encode(out, { family: familyNumber(family) }),
    }).map(({ body }) => body)) ?? []
  }
}
