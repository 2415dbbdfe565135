// The root file system of the test containers: one static busybox and a page to serve.
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from './machine.ts'

const applets = ['sh', 'cat', 'httpd', 'ip', 'ping', 'sleep', 'timeout', 'true', 'wget']
const folders = ['bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp']

/** Tells where the request came from, so that a test sees a translated source; httpd writes [::ffff:192.0.2.1]. */
const who = `#!/bin/sh
source=\${REMOTE_ADDR#[}
source=\${source%]}
printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' "\${source#::ffff:}"
`

/** Tells which container it is that answers: the first IPv4 address of eth0. */
const where = `#!/bin/sh
set -- $(ip -o -4 address show dev eth0)
printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' "\${4%/*}"
`

/** Where {@link layRootfs} puts it in the machine. */
export const rootfs = '/run/rootfs'

/** The container's process: HTTP on port 80, v4 and v6. */
export const server = ['/bin/httpd', '-f', '-h', '/www']

/** Builds the file system; `/` serves "hello", `/cgi-bin/who` the client's address, `/cgi-bin/where` the server's. */
export const layRootfs = (machine: Machine): void => {
  const root = machine.path(rootfs)
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true })
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet))
  machine.write(join(rootfs, 'www/index.html'), 'hello\n')
  machine.write(join(rootfs, 'www/cgi-bin/who'), who, 0o755)
  machine.write(join(rootfs, 'www/cgi-bin/where'), where, 0o755)
}
