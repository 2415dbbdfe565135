// A plugin of a chain has failed.
import { asCniError, type CniError } from '#cni/errors.ts'

/** What went wrong in which plugin; `cause` has code and details. */
export class PluginFailure extends Error {
  override readonly name = 'PluginFailure'
  readonly plugin: string
  override readonly cause: CniError
  constructor(plugin: string, error: unknown) {
    const cause = asCniError(error)
    super(cause.message, { cause })
    this.plugin = plugin
    this.cause = cause
  }
}

/** Runs a step on behalf of a plugin. @throws PluginFailure */
export const blaming = <T>(plugin: string, step: () => T): T => {
  try {
    return step()
  } catch (error) {
    throw new PluginFailure(plugin, error)
  }
}
