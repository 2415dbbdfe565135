// The way out of a namespace.
import type { Route } from '#netlink/route/route.ts'
import { familyOf } from '#netlink/ip.ts'
import type { Namespace } from './namespace.ts'

const RT_TABLE_MAIN = 254 // include/uapi/linux/rtnetlink.h

const isDefault = ({ dst, table }: Route): boolean => dst.endsWith('/0') && table === RT_TABLE_MAIN

/** IPv4 decides where it has a default route; the lowest metric wins, as it does for packets. */
const before = (one: Route, other: Route): number =>
  familyOf(one.dst) === familyOf(other.dst)
    ? (one.priority ?? 0) - (other.priority ?? 0)
    : familyOf(one.dst) === 'ipv4' ? -1 : 1

/** The index of the link that the default route of the main table leaves by, undefined when there is none. */
export const defaultRouteLink = (namespace: Namespace): number | undefined =>
  namespace.route.list().filter(isDefault).sort(before)[0]?.dev
