// The version of this suite; package.json is where it is set.
import manifest from '../package.json' with { type: 'json' }

export const version: string = manifest.version
