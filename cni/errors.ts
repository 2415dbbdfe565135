// Failures that the runtime reads: SPEC.md, "Error". 100 and up are ours; docs/errors.md explains each.
import { errnoOf } from '#sys/errno.ts'
import { SyscallError } from '#sys/libc.ts'
import { NetlinkError } from '#netlink/error.ts'

export const codes = {
  incompatibleVersion: 1, unsupportedField: 2, unknownContainer: 3, invalidEnvironment: 4, ioFailure: 5,
  decodingFailure: 6, invalidConfig: 7, invalidNetns: 8, tryAgainLater: 11, notAvailable: 50, limitedConnectivity: 51,
  kernelRefused: 100, outOfAddresses: 101, checkFailed: 102, alreadyAttached: 103, unsupportedByKernel: 104,
  delegateFailed: 105, remains: 106, internal: 999,
} as const

/** A failure with its code. `message` says what is wrong in one line, `details` what to do. */
export class CniError extends Error {
  override readonly name = 'CniError'
  readonly code: number
  readonly details: string
  constructor(code: keyof typeof codes | number, message: string, details = '', options?: ErrorOptions) {
    super(message, options)
    this.code = typeof code === 'number' ? code : codes[code]
    this.details = details
  }
}

/** A configuration that cannot mean anything: the message names the key and its value. */
export const invalidConfig = (message: string, details?: string): CniError =>
  new CniError('invalidConfig', message, details)

/** What to do about a refusal of the kernel's that means the same wherever it comes from. */
const advice: Readonly<Record<string, string>> = {
  EPERM: 'the plugin needs CAP_NET_ADMIN in the namespaces that it works on',
  EOPNOTSUPP: 'load the module, or use a kernel that has it',
  EADDRINUSE: 'another link or container on this host has that address: choose another one',
  ENETDOWN: 'the link below is down: `ip link set NAME up`',
  ENETUNREACH: 'the gateway of that route is in no subnet of the interface',
}

/** Any failure as one that the runtime can read. Words that libcni looks for, as libc's texts have them, stay out. */
export const asCniError = (error: unknown): CniError => {
  if (error instanceof CniError) return error
  if (error instanceof NetlinkError) {
    const code = error.code === 'EOPNOTSUPP' ? 'unsupportedByKernel' : 'kernelRefused'
    return new CniError(code, error.message, advice[error.code], { cause: error })
  }
  if (error instanceof SyscallError) {
    const code = error.path === undefined ? 'kernelRefused' : 'ioFailure'
    return new CniError(code, error.message, '', { cause: error })
  }
  // node:fs words its messages with libc's texts.
  if (error instanceof Error && errnoOf(error)) {
    const path = 'path' in error ? ` ${String(error.path)}` : ''
    const call = 'syscall' in error ? String(error.syscall) : 'file'
    return new CniError('ioFailure', `${call}${path}: ${errnoOf(error)}`, '', { cause: error })
  }
  return new CniError('internal', error instanceof Error ? error.message : String(error), '', { cause: error })
}
