// The private key of this host: made here, kept here, and told to nobody but the kernel.
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { dirname } from 'node:path'
import { makeDirectory, readRandom, readText } from '#sys/file.ts'
import { replaceDurably } from './durable-file.ts'
import { OverlayError } from './overlay-error.ts'

const KEY_BYTES = 32
/** What stands before the 32 bytes of an X25519 private key in PKCS #8: RFC 8410, section 7. */
const PRIVATE_KEY_INFO = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** As RFC 7748, section 5 has it, and as the kernel keeps it: what is compared with its own must be the same. */
const clamped = (bytes: Uint8Array): Buffer => {
  const key = Buffer.from(bytes)
  key[0] = key[0]! & 0b11111000
  key[31] = key[31]! & 0b01111111 | 0b01000000
  return key
}

/** The public key to a private one; both in base64, as wg(8) writes them. */
export const publicKeyOf = (privateKey: string): string => {
  const key = Buffer.concat([PRIVATE_KEY_INFO, Buffer.from(privateKey, 'base64')])
  const { x = '' } = createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' })
  return Buffer.from(x, 'base64url').toString('base64')
}

/**
 * The private key in a file, which is made where there is none.
 * @throws OverlayError `invalid` when the file holds something else; its content is not quoted
 */
export const keepKey = (path: string): string => {
  const text = readText(path)?.trim()
  if (text === undefined) {
    const key = clamped(readRandom(KEY_BYTES)).toString('base64')
    makeDirectory(dirname(path), 0o700)
    replaceDurably(path, `${key}\n`)
    return key
  }
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== text)
    throw new OverlayError('invalid', `${path} holds no WireGuard key`, 'remove it: this host gets another one')
  return clamped(bytes).toString('base64')
}
