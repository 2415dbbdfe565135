// What the firewall lets in and out for an attachment, and who among its neighbours may reach it.
import type { Attachment } from './attachment.ts'

/**
 * Who may open connections to a container through the host: everyone, containers of the same bridge only, or none but
 * the host itself.
 */
export type IngressPolicy = 'open' | 'same-bridge' | 'isolated'

/** All that the firewall does for an attachment. */
export interface Admission {
  readonly attachment: Attachment
  /** With prefix length, in canonical form; both families at once. */
  readonly addresses: readonly string[]
  readonly ingressPolicy: IngressPolicy
  /** The host-side device that the attachment is connected through; undefined where there is none. */
  readonly bridge: string | undefined
  /** The chain of the administrator, which comes before our own rules. */
  readonly adminChain: string
}
