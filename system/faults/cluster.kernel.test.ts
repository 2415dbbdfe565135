// Faults in a cluster ADD by itself, with both families, on a host that has its part in the pool: no agent is asked.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

// Not in /run, which each host empties.
const runDir = mkdtempSync('/dev/shm/fairlead-run-')
process.once('exit', () => { rmSync(runDir, { recursive: true, force: true }) })
const ranges = [
  { subnet: '10.77.0.0/24', rangeStart: '10.77.0.10', rangeEnd: '10.77.0.254', gateway: '10.77.0.1', blockLength: 28 },
  {
    subnet: 'fd77::/64', rangeStart: 'fd77::1', rangeEnd: 'fd77::ffff:ffff:ffff:ffff', gateway: 'fd77::1',
    blockLength: 122,
  },
]
writeFileSync(`${runDir}/faults.json`, JSON.stringify({
  network: 'faults', addressing: 'pool', ranges, blocks: ['10.77.0.16/28', 'fd77::40/122'], reserved: [], statics: [],
}))

injectFaults({ cniVersion: '1.1.0', name: 'faults', type: 'cluster', ipam: { type: 'cluster', runDir, ranges } })
