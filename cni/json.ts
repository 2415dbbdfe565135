// JSON from outside: strict where Go is strict, lenient about the case of keys as Go is.
import { CniError } from './errors.ts'

export type Json = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * One JSON object from bytes.
 * @param what names the source in messages
 * @throws CniError with code 6 when the bytes are no UTF-8 or no JSON object; a byte order mark counts as garbage
 */
export const parseObject = (bytes: Uint8Array, what: string): Json => {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (error) {
    const reason = bytes.length === 0 ? 'it is empty' : error instanceof Error ? error.message : String(error)
    throw new CniError('decodingFailure', `${what} is no JSON: ${reason}`, `${what} must be one JSON object`)
  }
  if (value === null) return {}
  if (!isObject(value)) {
    throw new CniError('decodingFailure', `${what} is no JSON object`, `${what} must be one JSON object`)
  }
  return value
}

/** The value under a key; without an exact match, under one that differs only in case, as encoding/json finds it. */
export const lookUp = (object: Json, key: string): unknown => {
  if (Object.hasOwn(object, key)) return object[key]
  const wanted = key.toLowerCase()
  const found = Object.keys(object).findLast(name => name.toLowerCase() === wanted)
  return found === undefined ? undefined : object[found]
}

/** The strings, brackets and separators of JSON text; numbers and literals do not matter to `duplicateKey`. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs

/**
 * A key that stands twice in an object of the given key, at any depth, which a decoder hides: RFC 8259, section 4.
 * @param bytes JSON that has been decoded before
 */
export const duplicateKey = (bytes: Uint8Array, of: string): string | undefined => {
  const open: { readonly key: string; readonly keys: Set<string> | undefined }[] = []
  let last = ''
  let key = ''
  for (const [token] of new TextDecoder().decode(bytes).matchAll(TOKEN)) {
    if (token === '{' || token === '[') {
      open.push({ key, keys: token === '{' ? new Set() : undefined })
      key = ''
    } else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      key = JSON.parse(last) as string
      const around = open.at(-1)
      if (around?.key.toLowerCase() === of && around.keys?.has(key)) return key
      around?.keys?.add(key)
    } else last = token
  }
  return undefined
}
