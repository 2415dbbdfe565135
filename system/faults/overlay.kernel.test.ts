// Faults in an overlay ADD with both families and ipMasq, on a host that has its part in the network: no agent is
// asked.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { enterPrivateNamespaces } from '../../tools/privacy.ts'
import { injectFaults } from './trial.ts'

enterPrivateNamespaces()

// Not in /run, which each host empties.
const runDir = mkdtempSync('/dev/shm/fairlead-run-')
process.once('exit', () => { rmSync(runDir, { recursive: true, force: true }) })
const device = 'fl-vx00004d'
writeFileSync(`${runDir}/faults.json`, JSON.stringify({
  network: 'faults', vni: 77, port: 4789, device, mtu: 1450, addressing: 'hostSubnet', internal: false,
  ranges: [{ subnet: '10.77.0.0/16', blockLength: 24 }, { subnet: 'fd77::/48', blockLength: 64 }],
  blocks: ['10.77.5.0/24', 'fd77:0:0:5::/64'], reserved: [], statics: [],
}))

// `master` is no key of the plugin's: it has the host begin with a link of that name, in place of the agent's.
injectFaults({
  cniVersion: '1.1.0', name: 'faults', type: 'overlay', ipMasq: true, runDir, master: device,
}, { sample: true })
