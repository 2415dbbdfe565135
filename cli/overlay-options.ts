// The options of the commands about overlays, apart from what carries them out: that is loaded when it is asked for.

const text = { type: 'string' } as const

/** Where the store is, as `fairlead agent` is told: agent/settings.ts. */
const store = {
  'config': text, 'store': text, 'store-ca': text, 'store-cert': text, 'store-key': text, 'store-user': text,
  'store-password-file': text,
} as const

const json = { type: 'boolean' } as const

export const overlayOptions = {
  agent: {
    ...store, 'once': { type: 'boolean' }, 'host-id': text, 'address': text, 'interface': text, 'state-dir': text,
    'run-dir': text, 'leases-dir': text, 'metrics': text, 'grace-period': text, 'checksum-offload': text,
    'wireguard-port': text,
  },
  overlay: {
    ...store, json, 'subnet': { type: 'string', multiple: true }, 'block-length': { type: 'string', multiple: true },
    'flat': { type: 'boolean' }, 'vni': text, 'port': text, 'mtu': text, 'internal': { type: 'boolean' },
    'encryption': text,
    'pool': { type: 'boolean' }, 'range-start': { type: 'string', multiple: true },
    'range-end': { type: 'string', multiple: true }, 'gateway': { type: 'string', multiple: true },
  },
  host: { ...store, json, force: { type: 'boolean' } },
} as const
