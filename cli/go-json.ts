// JSON as Go's encoding/json writes it: libcni's requests and cache files are compared and read as such.

/** A value with the keys of its objects in order, at every depth: Go's maps. */
export const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]))
}

const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * A value as json.Marshal writes a map: keys sorted, the characters special to HTML escaped.
 * @param indent spaces per level; none puts everything on one line
 */
export const encodeMap = (value: unknown, indent?: number): string => encodeStruct(sorted(value), indent)

/** A value as json.Marshal writes a struct: keys in the order given, undefined ones left out. */
export const encodeStruct = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(/[<>&\u2028\u2029]/g, escape)
