// A watch of etcd v3 through its JSON gateway: one stream, a JSON text per line.
import { isLoginExpired, objectIn, streamFailure, type Gateway } from './etcd-gateway.ts'
import { entryOf, rangeOf, type GatewayError, type WatchResponse } from './etcd-wire.ts'
import { NoAnswer } from './endpoint.ts'
import { advanced } from './position.ts'
import type { Changes, Event, Position } from './store.ts'
import { StoreError } from './store-error.ts'

const eventOf = ({ type, kv }: NonNullable<WatchResponse['events']>[number]): Event => {
  const entry = entryOf(kv)
  return type === 'DELETE'
    ? { kind: 'removed', key: entry.key, revision: entry.revision }
    : { kind: 'put', entry }
}

const changesOf = ({ header, events = [] }: WatchResponse, prefix: string, from: Position): Changes => {
  const happened = events.map(eventOf)
  const revision = Math.max(from.revision, Number(header.revision ?? 0))
  return { events: happened, position: advanced(from, prefix, revision, happened) }
}

/** Ends the stream that a watch was refused on. */
const refusal = (endpoint: string, gateway: Gateway, { compact_revision, cancel_reason = '' }: WatchResponse) => {
  if (compact_revision !== undefined)
    return new StoreError('stale', `${endpoint}: compacted up to revision ${compact_revision}`)
  if (/token|auth/.test(cancel_reason)) gateway.forget()
  return new StoreError(/permission/.test(cancel_reason) ? 'refused' : 'unreachable', `${endpoint}: ${cancel_reason}`)
}

/**
 * The changes below a prefix after a position. A revision that the store has not reached yet is watched in silence for
 * ever, and one of another history would be taken for ours: hence `verify`, once the watch stands.
 * @throws StoreError
 */
export async function* watchEtcd(
  gateway: Gateway, prefix: string, from: Position, signal: AbortSignal, verify: () => Promise<void>,
): AsyncGenerator<Changes, void> {
  const request = { create_request: { ...rangeOf(prefix), start_revision: from.revision + 1, progress_notify: true } }
  const { endpoint, first, lines } = await gateway.open('/v3/watch', request, signal)
  let position = advanced(from, prefix, from.revision, [])
  try {
    for (let line: string | void = first; line !== undefined; line = (await lines.next()).value) {
      const { result, error } = objectIn(endpoint, line) as { result?: WatchResponse; error?: GatewayError }
      if (error !== undefined && isLoginExpired(error)) gateway.forget()
      if (error !== undefined || result === undefined) throw streamFailure(endpoint, error ?? {})
      if (result.canceled) throw refusal(endpoint, gateway, result)
      if (result.created) {
        await verify()
        yield { events: [], position }
        continue
      }
      const changes = changesOf(result, prefix, position)
      position = changes.position
      yield changes
    }
  } catch (error) {
    if (error instanceof NoAnswer) throw new StoreError('unreachable', error.message, { cause: error })
    throw error
  } finally {
    await lines.return()
  }
  if (!signal.aborted) {
    gateway.turn()
    throw new StoreError('unreachable', `${endpoint}: the watch ended`)
  }
}
