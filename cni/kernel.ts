// What STATUS says of the kernel.
import type { Namespace } from '#net/namespace.ts'
import type { LinkSpec } from '#netlink/route/link.ts'
import { CniError } from './errors.ts'

/** @param what the kernel lacks, `macvlan links` */
export const lackingInKernel = (what: string): CniError =>
  new CniError('notAvailable', `this kernel has no ${what}`, 'load the module, or use a kernel that has it')

/** @throws CniError 50 that names the first kind of link which this kernel cannot make */
export const requireKinds = (host: Namespace, ...kinds: readonly NonNullable<LinkSpec['info']>['kind'][]): void => {
  for (const kind of kinds) if (!host.link.supports(kind)) throw lackingInKernel(`${kind} links`)
}
