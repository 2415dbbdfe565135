// Link kinds: what `ip link add type KIND` takes. Names and numbers follow the kernel's rt-link netlink spec
// (Documentation/netlink/specs/rt-link.yaml). A new kind is one more table.
import { attrs, headed, list, nest, struct } from '../attrs.ts'
import { be16, i32, ip, mac, text, u16, u32, u8, choice } from '../codec.ts'

/** struct ifinfomsg of include/uapi/linux/rtnetlink.h. */
export const ifinfomsg = struct({ family: u8, pad: u8, type: u16, index: i32, flags: u32, change: u32 })

/** Attributes that every new link may be given, the peer of a veth included. */
export const creation = { address: [1, mac], name: [3, text], mtu: [4, u32], netnsFd: [28, u32] } as const

const peer = nest(headed(ifinfomsg, attrs(creation)))

export const kinds = {
  veth: attrs({ peer: [1, peer] }),
  bridge: attrs({
    vlanFiltering: [7, u8], vlanDefaultPvid: [39, u16],
    /** Bits of enum br_boolopt_id, include/uapi/linux/if_bridge.h: bit 0 is no_linklocal_learn. */
    boolOptions: [46, struct({ value: u32, mask: u32 })],
  }),
  macvlan: attrs({
    mode: [1, choice(u32, { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 })],
    /** What is done with the addresses that `source` mode lets in: enum macvlan_macaddr_mode of if_link.h. */
    sourceMode: [3, choice(u32, { add: 0, del: 1, flush: 2, set: 3 })],
    sources: [5, list(4, mac)],
    bcQueueLen: [7, u32],
  }),
  ipvlan: attrs({
    mode: [1, choice(u16, { l2: 0, l3: 1, l3s: 2 })],
    flag: [2, choice(u16, { bridge: 0, private: 1, vepa: 2 })],
  }),
  vlan: attrs({ vid: [1, u16], protocol: [5, choice(be16, { '802.1q': 0x8100, '802.1ad': 0x88a8 })] }),
  vxlan: attrs({
    /** The VNI: RFC 7348. */
    id: [1, u32],
    local: [4, ip], local6: [17, ip], ttl: [5, u8], tos: [6, u8], learning: [7, u8], link: [3, u32],
    /** The UDP port of both ends. */
    port: [15, be16],
    /** Checksums of the outer UDP header: all, or not over IPv6 on sending and on receiving. */
    udpChecksum: [18, u8], zeroChecksum6Tx: [19, u8], zeroChecksum6Rx: [20, u8],
    /** Whether the outer packet may be fragmented on its way. */
    df: [29, choice(u8, { unset: 0, set: 1, inherit: 2 })],
  }),
  vrf: attrs({ table: [1, u32] }),
  /** Its settings are not rtnetlink's: wireguard.ts. */
  wireguard: attrs({}),
  dummy: attrs({}),
  ifb: attrs({}),
  /** Told only: made through /dev/net/tun. IFLA_TUN_* of include/uapi/linux/if_link.h. */
  tun: attrs({ owner: [1, u32], group: [2, u32], type: [3, choice(u8, { tun: 1, tap: 2 })], multiQueue: [7, u8] }),
}
