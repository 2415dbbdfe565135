// What is attached on this host, read from the labels of links: nothing is stored that could be out of date.
import { Namespace } from '#net/namespace.ts'
import { listDirectory, status } from '#sys/file.ts'
import type { Attachment } from '#net/attachment.ts'
import { textTable } from './text-table.ts'

const NAMED = '/run/netns'

/** An attachment and the link that carries its label. */
export interface Attached extends Attachment {
  readonly link: string
  /** Path of the namespace that the link is in; absent for the host's. */
  readonly netns?: string
}

/** The attachment in an ifalias `fairlead:NETWORK/CONTAINER/IFNAME`; undefined for any other text. */
export const parseLabel = (alias: string): Attachment | undefined => {
  const [, network, containerId, ifName] = /^fairlead:([\w.~-]+)\/([\w.~-]+)\/([^/\p{Cc}\s]+)$/u.exec(alias) ?? []
  return network && containerId && ifName ? { network, containerId, ifName } : undefined
}

const attachedIn = (namespace: Namespace, place: { readonly netns?: string }): Attached[] =>
  namespace.link.list().flatMap(({ alias = '', name }) => {
    const attachment = parseLabel(alias)
    return attachment ? [{ ...attachment, link: name, ...place }] : []
  })

/** Every labelled link of the host and of the namespaces below /run/netns, in the order of their labels. */
export const listAttached = (): Attached[] => {
  using host = Namespace.host()
  const paths = listDirectory(NAMED).map(name => `${NAMED}/${name}`).filter(path => status(path)?.isFile)
  const named = paths.flatMap(path => {
    try {
      using namespace = Namespace.at(path)
      return attachedIn(namespace, { netns: path })
    } catch {
      return [] // it has gone meanwhile, or is no namespace
    }
  })
  const key = ({ network, containerId, ifName }: Attachment): string => `${network}/${containerId}/${ifName}`
  return [...attachedIn(host, {}), ...named].sort((a, b) => key(a) < key(b) ? -1 : 1)
}

const header = ['NETWORK', 'CONTAINER', 'INTERFACE', 'LINK']

/** A table for people: one line per link. */
export const attachedTable = (list: readonly Attached[]): string => {
  return textTable(header, list.map(({ network, containerId, ifName, link, netns }) =>
    [network, containerId, ifName, netns === undefined ? link : `${link} in ${netns}`]))
}
