// An image of the test root file system, as an archive for `ctr images import`: OCI image layout 1.0.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Machine } from './machine.ts'
import { rootfs, server } from './rootfs.ts'

const architectures: Readonly<Record<string, string>> = { x64: 'amd64' }

const layout = '/run/image'

/** Stores a blob under its digest. @returns its descriptor */
const store = (machine: Machine, mediaType: string, content: Uint8Array | object): object => {
  const bytes = content instanceof Uint8Array ? content : Buffer.from(JSON.stringify(content))
  const digest = createHash('sha256').update(bytes).digest('hex')
  machine.write(`${layout}/blobs/sha256/${digest}`, bytes)
  return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${digest}`, size: bytes.length }
}

/**
 * Builds the image and imports it into containerd's namespace for pods.
 * @param command of its containers, the HTTP server unless told otherwise
 */
export const importImage = (machine: Machine, name: string, command = server): void => {
  machine.run('tar', '-C', rootfs, '-cf', '/run/layer.tar', '.')
  const layer = readFileSync(machine.path('/run/layer.tar'))
  const config = store(machine, 'config.v1+json', {
    os: 'linux',
    architecture: architectures[process.arch] ?? process.arch,
    config: { Cmd: command },
    rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`] },
  })
  const layers = [store(machine, 'layer.v1.tar', layer)]
  const manifest = store(machine, 'manifest.v1+json', { schemaVersion: 2, config, layers })
  const annotations = { 'io.containerd.image.name': name }
  machine.write(`${layout}/oci-layout`, { imageLayoutVersion: '1.0.0' })
  machine.write(`${layout}/index.json`, { schemaVersion: 2, manifests: [{ ...manifest, annotations }] })
  machine.run('tar', '-C', layout, '-cf', '/run/image.tar', '.')
  machine.run('ctr', '--namespace', 'k8s.io', 'images', 'import', '--snapshotter', 'native', '/run/image.tar')
}
