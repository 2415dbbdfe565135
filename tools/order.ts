// In which order the executable needs its code: recorded by using it, for the compiler to lay the code out by.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { resolve } from 'node:path'

const config = JSON.stringify({
  cniVersion: '1.0.0', name: 'order', type: 'bridge', bridge: 'order0', isDefaultGateway: true, ipMasq: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/16' }]] },
})

/** The calls that matter most first. They work in namespaces of their own. */
const calls = ['ADD', 'DEL', 'VERSION']

const script = (bin: string): string => `
  set -e
  mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib
  mkdir -p /run/netns; ip netns add order
  export CNI_CONTAINERID=order CNI_NETNS=/run/netns/order CNI_IFNAME=eth0 CNI_PATH=${bin}
  for verb in ${calls.join(' ')}; do
    printf %s '${config}' | CNI_COMMAND=$verb BUN_BYTECODE_ORDER_OUT=${bin}/$verb.order ${bin}/bridge >/dev/null
  done`

/**
 * Uses a compiled, not yet hardened executable as a bridge network would.
 * @returns paths of order files, none where the calls cannot be made: without root the executable is laid out as it
 * comes
 */
export const recordOrder = (executable: string, plugins: readonly string[]): readonly string[] => {
  const bin = resolve('build/order')
  rmSync(bin, { recursive: true, force: true })
  mkdirSync(bin, { recursive: true })
  copyFileSync(executable, `${bin}/fairlead`)
  for (const name of plugins) symlinkSync('fairlead', `${bin}/${name}`)
  spawnSync('unshare', ['--net', '--mount', 'sh', '-c', script(bin)], { stdio: 'ignore' })
  rmSync(`${bin}/fairlead`)
  return calls.map(verb => `${bin}/${verb}.order`).filter(file => existsSync(file))
}
