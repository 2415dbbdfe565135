// `make test-vm`, and `make test-vm ARGS=all` for every conformance case.
import { inWords, report } from '#tools/test-output.ts'
import { runLane } from './lane.ts'

const begun = Date.now()
const lane = await runLane({
  ours: 'build/bin', reference: process.env['PEER'] ?? '/usr/lib/cni', all: process.argv[2] === 'all',
  logs: 'build/logs', tell: console.log,
})
if ('reason' in lane) {
  console.log(`the lane cannot start here: ${lane.reason}`)
  process.exitCode = 2
} else {
  lane.outputs.forEach(report)
  console.log(`lane on Linux ${lane.release}: ${inWords(lane.count)} (${Math.round((Date.now() - begun) / 1000)} s)`)
  process.exitCode = lane.count.failed > 0 ? 1 : 0
}
