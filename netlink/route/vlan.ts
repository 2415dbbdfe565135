// bridge vlan: include/uapi/linux/if_bridge.h. Names follow the kernel's rt-link netlink spec.
import { errnoOf } from '#sys/errno.ts'
import { attrs, list, struct } from '../attrs.ts'
import { u16, u32, u8 } from '../codec.ts'
import { flags } from '../message.ts'
import type { Socket } from '../socket.ts'
import { ifinfomsg } from './kinds.ts'

const AF_BRIDGE = 7
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_SETLINK = 19
const RTM_GETVLAN = 114
const RTEXT_FILTER_BRVLAN = 2

const vlanFlags = { master: 1, pvid: 2, untagged: 4, rangeBegin: 8, rangeEnd: 16 } as const
const vlanInfo = struct({ flags: u16, vid: u16 })
const spec = list<{ readonly flags: number; readonly vid: number }>(2, vlanInfo)
const vlanAttrs = attrs({ spec: [26, spec], mask: [29, u32] })
const brVlanMsg = struct({ family: u8, reserved1: u8, reserved2: u16, index: u32 })

/** A VLAN of a port. `pvid`: untagged frames that come in belong to it. `untagged`: its frames leave without a tag. */
export interface PortVlan { readonly vid: number; readonly pvid?: boolean; readonly untagged?: boolean }

const LAST_VID = 4094

/** The `bridge vlan` of one network namespace. */
export class Vlans {
  readonly #socket: Socket
  constructor(socket: Socket) { this.#socket = socket }

  /** Whether this kernel filters VLANs on bridges (CONFIG_BRIDGE_VLAN_FILTERING): only then it can dump them. */
  supported(): boolean {
    try {
      this.#socket.request({
        operation: 'bridge vlan global show', type: RTM_GETVLAN, flags: flags.dump,
        body: out => brVlanMsg.encode(out, { family: AF_BRIDGE }),
      })
      return true
    } catch (error) {
      if (errnoOf(error) === 'EOPNOTSUPP') return false
      throw error
    }
  }

  /** bridge vlan add dev PORT vid VID [pvid] [untagged]. */
  add(port: number, { vid, pvid = false, untagged = false }: PortVlan): void {
    const set = (pvid ? vlanFlags.pvid : 0) | (untagged ? vlanFlags.untagged : 0)
    this.#change(`bridge vlan add vid ${vid}`, RTM_SETLINK, port, [{ flags: set, vid }])
  }

  /** bridge vlan del dev PORT vid 1-4094: takes every VLAN from a port. */
  clear(port: number): void {
    const whole = [{ flags: vlanFlags.rangeBegin, vid: 1 }, { flags: vlanFlags.rangeEnd, vid: LAST_VID }]
    this.#change('bridge vlan del vid 1-4094', RTM_DELLINK, port, whole)
  }

  /** bridge vlan show dev PORT. */
  list(port: number): Required<PortVlan>[] {
    const replies = this.#socket.request({
      operation: 'bridge vlan show', type: RTM_GETLINK, flags: flags.dump,
      body(out) {
        ifinfomsg.encode(out, { family: AF_BRIDGE })
        vlanAttrs.encode(out, { mask: RTEXT_FILTER_BRVLAN })
      },
    })
    return replies.filter(({ body }) => ifinfomsg.decode(body).index === port)
      .flatMap(({ body }) => vlanAttrs.decode(body.subarray(ifinfomsg.size)).spec ?? [])
      .map(({ flags: set, vid }) => ({
        vid, pvid: (set & vlanFlags.pvid) !== 0, untagged: (set & vlanFlags.untagged) !== 0,
      }))
  }

  #change(
    operation: string, type: number, port: number,
    entries: readonly { readonly flags: number; readonly vid: number }[],
  ): void {
    this.#socket.request({
      operation, type, flags: 0,
      body(out) {
        ifinfomsg.encode(out, { family: AF_BRIDGE, index: port })
        vlanAttrs.encode(out, { spec: entries })
      },
    })
  }
}
