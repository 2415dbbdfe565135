import { dns } from '#cni/keys.ts'
import type { Schema } from '#cni/schema.ts'

export const schema = { type: 'object', properties: { dns } } as const satisfies Schema
