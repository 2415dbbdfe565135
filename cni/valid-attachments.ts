// Which attachments GC must keep: SPEC.md, section 2, "GC"; the 1.1.0 tag of it called the key cni.dev/attachments.
import type { Attachment } from '#net/attachment.ts'
import { invalidConfig } from './errors.ts'
import { isObject, lookUp, type Json } from './json.ts'

const keys = ['cni.dev/valid-attachments', 'cni.dev/attachments'] as const

const readEntry = (key: string, network: string, value: unknown): Attachment => {
  const containerId = isObject(value) ? lookUp(value, 'containerID') : undefined
  const ifName = isObject(value) ? lookUp(value, 'ifname') : undefined
  if (typeof containerId !== 'string' || containerId === '' || typeof ifName !== 'string' || ifName === '') {
    throw invalidConfig(
      `${key} has ${JSON.stringify(value)}`,
      'each entry needs containerID and ifname; nothing was removed',
    )
  }
  return { network, containerId, ifName }
}

/**
 * The list in a GC configuration. `null` is an empty list (a nil slice of Go's); what either key lists is valid.
 * @returns undefined when neither key is there: nobody said what is valid, so nothing may be removed
 * @throws CniError 7
 */
export const readValidAttachments = (raw: Json, network: string): readonly Attachment[] | undefined => {
  const present = keys.filter(key => lookUp(raw, key) !== undefined)
  if (present.length === 0) return undefined
  return present.flatMap(key => {
    const list = lookUp(raw, key) ?? []
    if (!Array.isArray(list)) throw invalidConfig(`${key} ${JSON.stringify(list)} is no list`, 'nothing was removed')
    return list.map(entry => readEntry(key, network, entry))
  })
}
