// One request without a resident agent: for tests, and small clusters that hardly change. Other hosts' changes are seen
// with the next request only.
import type { Namespace } from '#net/namespace.ts'
import type { Answer, Request } from '#cni/cluster/agent-socket.ts'
import { readRunFile } from '#cni/cluster/run-file.ts'
import { clusterIn, foundCluster } from './cluster.ts'
import { shortage } from './growth.ts'
import { alive, clusterKey, networkKey, root } from './layout.ts'
import { join } from './membership.ts'
import { OverlayError } from './overlay-error.ts'
import { OverlayHost } from './overlay-host.ts'
import { answerTo, requireLocal, tendStatics } from './requests.ts'
import type { Settings } from './settings.ts'
import { isLocal, openStore } from './store-choice.ts'
import { get } from './store/lookup.ts'
import { put } from './store/transaction.ts'
import { findUnderlay } from './underlay.ts'

/** Whether a request could be carried out; touches nothing. */
export const statusOnce = async (
  settings: Settings, host: Namespace, { network, canMake, exclude }: Extract<Request, { readonly op: 'status' }>,
): Promise<Answer> => {
  const store = openStore(settings)
  try {
    const { vtep } = findUnderlay(host, settings)
    if (!isLocal(settings)) {
      await store.list(clusterKey)
      const isWanted = network !== undefined && canMake === false
      if (isWanted && await get(store, networkKey(network)) === undefined) requireLocal(settings, network)
    }
    const hasPart = network !== undefined && readRunFile(settings.runDirectory, network) !== undefined
    if (!hasPart) return { ok: true, host: settings.hostId, vtep }
    const here = new OverlayHost(settings, host, () => {})
    here.picture.replace((await store.list(root)).entries, true)
    return { ok: true, host: settings.hostId, vtep, shortage: shortage(here, network, exclude) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { ok: false, obstacle: 'unreachable', message, advice: error instanceof OverlayError ? error.advice : '' }
  } finally {
    store.close()
  }
}

/**
 * Joins, brings this host in step, and does what is asked.
 * @throws OverlayError when there is no underlay
 */
export const runOnce = async (
  settings: Settings, host: Namespace, request: Request, say: (line: string) => void,
): Promise<Answer> => {
  const here = new OverlayHost(settings, host, say)
  const store = openStore(settings)
  let obstacle: string | undefined
  try {
    if (isLocal(settings)) await foundCluster(store)
    const { member, lease } = await join(store, here.keeper, settings.hostId, here.facts)
    // Nobody renews it, and yet this host is not to be taken for one that has gone.
    await store.commit(member.conditions, [put(alive.key(member.host), member.memory.token)])
    await lease.revoke()
    here.admit(member)
    here.files.confirm(Object.keys(here.shares))
    const listing = await store.list(root)
    here.see(listing.entries, clusterIn(listing)?.settled === true)
    for (const name of Object.keys(here.shares)) await tendStatics(here, member, name)
  } catch (error) {
    obstacle = error instanceof Error ? error.message : String(error)
    here.restore()
  }
  try {
    return await answerTo(here, request, () => obstacle)
  } finally {
    store.close()
  }
}
