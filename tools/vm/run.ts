// Runs one shell command in a guest: `node tools/vm/run.ts 'ip link add type vrf table 5 && ip link'`.
import { runInGuest } from './guest.ts'
import { findKernel } from './kernel.ts'

const command = process.argv.slice(2).join(' ')
const { exit, complaint } = await runInGuest(findKernel(), { command, limit: 3600, hear: console.log })
if (exit === undefined) console.error(`the guest broke down: ${complaint}`)
process.exitCode = exit ?? 125
