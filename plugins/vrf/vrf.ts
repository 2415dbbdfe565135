// vrf: an interface that another plugin has made gets a routing domain of its own (Documentation/networking/vrf.rst of
// the kernel).
import { requireLink } from '#cni/chained.ts'
import { broken, checkInterface, expect, requirePrevious } from '#cni/check.ts'
import { driver } from '#cni/driver.ts'
import { invalidConfig } from '#cni/errors.ts'
import { requireKinds } from '#cni/kernel.ts'
import { create } from '#net/creation.ts'
import { whileHostIsLocked } from '#net/host-lock.ts'
import type { Namespace } from '#net/namespace.ts'
import { findOwnLink } from '#net/veth.ts'
import type { Link } from '#netlink/route/link.ts'
import { tolerate } from '#sys/errno.ts'
import { validate } from '#build/validators/vrf.js'
import { schema } from './config.ts'
import { findVrf, joinVrf, leaveVrf, requireVrf } from './device.ts'
import { isCommon } from './plan.ts'
import { enslave, pastOf, putBack } from './port.ts'

/** Two interfaces of a container must not make the same VRF, nor one take it away while the other joins. */
const alone = <T>(pod: Namespace, step: () => T): T => pod.run(() => whileHostIsLocked('exclusive', step))

const masterOf = (pod: Namespace, { master }: Link): Link | undefined =>
  master === undefined ? undefined : tolerate(['ENODEV'], () => pod.link.at(master))

export const vrf = driver({
  name: 'vrf',
  kind: 'chained',
  schema,
  validate,

  add({ config, network, ifName, pod, previous, undo }) {
    if (previous === undefined) throw invalidConfig('prevResult is missing', 'vrf follows another plugin')
    const undoAlone = (what: string, step: () => void): void => undo(what, () => alone(pod, step))
    alone(pod, () => {
      const link = requireLink(pod, ifName, 'vrf')
      const present = requireVrf(pod, config)
      const master = masterOf(pod, link)
      if (master && master.index === present?.index) return
      if (master) {
        const named = `vrfname ${JSON.stringify(config.vrfname)}`
        throw invalidConfig(`${named}: ${ifName} has the master ${master.name} already`, 'a link can have one only')
      }
      const vrf = joinVrf(pod, config, network, undoAlone)
      const past = pastOf(pod, link, vrf.info.table!)
      create(undoAlone, `master of ${ifName}`, () => putBack(pod, past), () => enslave(pod, past, vrf))
    })
    return previous
  },

  check({ config: { vrfname, table }, ifName, pod, previous }) {
    const result = requirePrevious(previous)
    const vrf = findVrf(pod, vrfname)
    if (vrf === undefined) throw broken(`VRF ${vrfname} is missing in ${pod.path}`)
    if (table > 0) expect(`table of ${vrfname}`, vrf.info.table, table)
    expect(`state of ${vrfname}`, vrf.up ? 'up' : 'down', 'up')
    const link = pod.link.find(ifName)
    if (link) expect(`master of ${ifName}`, masterOf(pod, link)?.name, vrfname)
    checkInterface(pod, ifName, result, table => !isCommon(table))
  },

  del({ config: { vrfname }, attachment, host, pod, attempt }) {
    if (!pod) return
    attempt(() => alone(pod, () => {
      const link = findOwnLink(host, pod, attachment)
      const vrf = vrfname ? findVrf(pod, vrfname) : link && masterOf(pod, link)
      if (vrf?.info.kind === 'vrf') leaveVrf(pod, vrf, link)
    }))
  },

  status({ host }) { requireKinds(host, 'vrf') },

  gc() { /* all that an attachment has is in its namespace */ },
})
