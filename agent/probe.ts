// What agents ask each other inside of a tunnel. A question proves that its sender can read the store, because it is
// signed with the token of the host that is asked; an answer is as long as the question, and signed likewise. So nobody
// else gets an answer, and nobody can have one sent elsewhere that is worth more than what it cost.
import { sha256 } from '#sys/digest.ts'

/** The UDP port, on the address that a host sends from into an overlay. */
export const PROBE_PORT = 9478

// 4 bytes of magic, 1 of kind, 1 of checksum, 2 that are zero, 8 of nonce, 16 of signature.
export const PROBE_SIZE = 32
const MAGIC = '464c636b' // FLck
const kinds = { question: '01', answer: '02' } as const
const SIGNED = 16

export interface Probe {
  readonly kind: keyof typeof kinds
  /** Whether the question was sent with a checksum; answers never are. */
  readonly hasChecksum: boolean
  /** 16 random hexadecimal digits, which tell questions apart. */
  readonly nonce: string
}

const signed = (head: string, token: string): Uint8Array =>
  Buffer.from(head + sha256(`fairlead probe ${head} ${token}`).slice(0, 2 * (PROBE_SIZE - SIGNED)), 'hex')

/** @param token of the host that is asked, or answers */
export const writeProbe = ({ kind, hasChecksum, nonce }: Probe, token: string): Uint8Array =>
  signed(`${MAGIC}${kinds[kind]}${hasChecksum ? '01' : '00'}0000${nonce}`, token)

/**
 * The probe in a datagram; undefined when it is none.
 * @param tokenFor the token that it has to be signed with
 */
export const readProbe = (data: Uint8Array, tokenFor: (probe: Probe) => string | undefined): Probe | undefined => {
  if (data.length !== PROBE_SIZE) return undefined
  const head = Buffer.from(data.subarray(0, SIGNED)).toString('hex')
  const [, kind, checksum, nonce = ''] = /^464c636b(01|02)(00|01)0000([0-9a-f]{16})$/.exec(head) ?? []
  if (kind === undefined) return undefined
  const isQuestion = kind === kinds.question
  const probe = { kind: isQuestion ? 'question' : 'answer', hasChecksum: checksum === '01', nonce } as const
  const token = tokenFor(probe)
  return token !== undefined && Buffer.compare(signed(head, token), data) === 0 ? probe : undefined
}
