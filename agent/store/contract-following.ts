// Part of the contract of stores: what whoever follows a prefix gets to know.
import type { Test } from 'tap'
import { setTimeout } from 'node:timers/promises'
import { Backoff } from './backoff.ts'
import type { World } from './contract.ts'
import { follow, type Update } from './follow.ts'
import { put } from './transaction.ts'

const root = '/test/'

export const following = async (t: Test, { connect, compact, wipe }: World): Promise<void> => {
  const store = connect()
  await store.commit([], [put(`${root}cluster`, 'one'), put(`${root}a`, '1')])
  const leaving = new AbortController()
  const known = new Map<string, string>()
  let listings = 0
  const learn = (update: Update): void => {
    if (update.kind === 'listing') {
      listings++
      known.clear()
      for (const { key, value } of update.listing.entries) known.set(key.slice(root.length), value)
    }
    for (const event of update.kind === 'changes' ? update.changes.events : []) {
      if (event.kind === 'put') known.set(event.entry.key.slice(root.length), event.entry.value)
      else known.delete(event.key.slice(root.length))
    }
  }
  const ended = (async () => {
    for await (const update of follow(store, root, leaving.signal, new Backoff(20))) learn(update)
  })()
  const until = async (expected: object): Promise<void> => {
    const wanted = JSON.stringify(Object.entries(expected).sort())
    for (let i = 0; i < 300 && JSON.stringify([...known].sort()) !== wanted; i++) await setTimeout(10)
    t.same(Object.fromEntries(known), expected)
  }
  await until({ a: '1', cluster: 'one' })
  await compact((await store.commit([], [put(`${root}b`, '1')])).revision)
  await until({ a: '1', cluster: 'one', b: '1' })
  await wipe()
  await until({})
  await connect().commit([], [put(`${root}new`, '1')])
  await until({ new: '1' })
  t.ok(listings > 1)
  leaving.abort()
  await ended
}
