// `make vm-kernel`: builds the kernel of kernel.config where kernel.ts looks for it.
import { spawnSync } from 'node:child_process'
import { builtKernel } from './kernel.ts'

const { status } = spawnSync('tools/vm/build-kernel.sh', [builtKernel()], { stdio: 'inherit' })
process.exitCode = status ?? 1
