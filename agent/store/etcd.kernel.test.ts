// etcd keeps the contract of stores: a real one, in a network namespace of the test's own.
import { test, type Test } from 'tap'
import { EtcdCluster, startEtcd } from '#tools/etcd.ts'
import { lacks, ownNamespace } from '#tools/kernel.ts'
import { contract, type World } from './contract.ts'
import { Etcd } from './etcd.ts'
import { Gateway } from './etcd-gateway.ts'

const skip = lacks('etcd')
let port = 2400

const worldOf = (t: Test, cluster: EtcdCluster): World => ({
  connect() {
    const store = new Etcd({ endpoints: cluster.endpoints }, '/test/cluster')
    t.teardown(() => { store.close() })
    return store
  },
  async compact(revision) {
    const gateway = new Gateway({ endpoints: cluster.endpoints })
    await gateway.call('/v3/kv/compaction', { revision, physical: true }, 'repeatable')
    gateway.close()
  },
  wipe: () => cluster.wipe(),
  backup: () => cluster.backup(),
  restore: () => cluster.restore(),
})

void test('the contract', { skip }, async t => {
  ownNamespace(t)
  contract(t, async part => worldOf(part, await startEtcd(part, { port: port += 10 })))
})
