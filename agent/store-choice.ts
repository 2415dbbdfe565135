// The store that an agent, or a command, is told to use.
import { clusterKey } from './layout.ts'
import { Etcd } from './store/etcd.ts'
import { FileStore } from './store/file.ts'
import type { Store } from './store/store.ts'
import type { Settings } from './settings.ts'

/** Opens the store; nothing is asked yet. */
export const openStore = ({ store }: Pick<Settings, 'store'>): Store =>
  typeof store === 'string' ? new FileStore(store) : new Etcd(store, clusterKey)

/** Whether the store is of one machine, which needs nobody to say that a cluster is to be made in it. */
export const isLocal = ({ store }: Pick<Settings, 'store'>): boolean => typeof store === 'string'
