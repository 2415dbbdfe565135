// Giving single addresses back whose containers are gone.
import type { Attachment } from '#net/attachment.ts'
import { giveBack, type Asker } from './agent.ts'
import { readRunFile, type StaticHolder } from './run-file.ts'

interface Subject { readonly network: string; warn(text: string): void }

/** For GC. @param valid the attachments that live */
export const isStale = (valid: readonly Attachment[]) => ({ container, ifname }: StaticHolder): boolean =>
  valid.every(({ containerId, ifName }) => containerId !== container || ifName !== ifname)

/**
 * Gives back what had been claimed for attachments. A resident agent finds out by itself, only later; without one GC
 * does, so that failing now is no error.
 */
export const release = (
  { network, warn }: Subject, asker: Asker, isGone: (holder: StaticHolder) => boolean,
): void => {
  const gone = (readRunFile(asker.runDir, network)?.statics ?? []).filter(isGone)
  const attachments = new Map(gone.map(holder => [`${holder.container}/${holder.ifname}`, holder]))
  try {
    for (const { container, ifname } of attachments.values())
      giveBack(asker, { network, containerId: container, ifName: ifname })
  } catch (error) {
    const who = asker.agent === 'none' ? 'GC' : 'the agent'
    warn(`${who} gives addresses back later: ${error instanceof Error ? error.message : String(error)}`)
  }
}
