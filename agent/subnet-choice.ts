// A subnet for a network whose maker does not care: the first free /16 from 10.200.0.0 on. Free of other overlays, and
// of whatever this host has a route to; what other hosts have routes to is not known here.
import type { Namespace } from '#net/namespace.ts'
import { overlaps, parsePrefix } from '#net/prefix.ts'
import { networksIn, readConfig } from './network.ts'
import { OverlayError } from './overlay-error.ts'
import { root } from './layout.ts'
import type { Store } from './store/store.ts'

const candidates: readonly string[] = [200, 140, 20].flatMap(first =>
  Array.from({ length: 50 }, (_, i) => `10.${first + i}.0.0/16`))

/** @throws OverlayError `exhausted`; StoreError */
export const chooseSubnet = async (store: Store, host: Namespace): Promise<string> => {
  const { entries } = await store.list(root)
  const overlays = [...networksIn(entries).values()]
    .flatMap(entry => readConfig(entry)!.ranges.map(({ subnet }) => subnet))
  const routed = host.route.list().map(({ dst }) => dst).filter(dst => !dst.endsWith('/0'))
  const taken = [...overlays, ...routed].flatMap(text => parsePrefix(text) ?? [])
  const free = candidates.find(text => !taken.some(prefix => overlaps(parsePrefix(text)!, prefix)))
  if (free === undefined) throw new OverlayError('exhausted', 'no subnet of 10.0.0.0/8 is free', 'name one')
  return free
}
