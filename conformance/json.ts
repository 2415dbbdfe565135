// JSON values whose shape is not known before they have been looked at.

export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `base` with the keys of `change` over it; a key whose value is `undefined` is removed. */
export const changed = (base: JsonObject, change: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries({ ...base, ...change }).filter(([, value]) => value !== undefined))

/** Every JSON value of a text that holds several, one after the other on lines of their own (`ip -batch` prints so). */
export const jsonLines = (text: string): unknown[] =>
  text.split('\n').filter(line => line.trim()).map(line => JSON.parse(line))

/** The value of a JSON text, or undefined when it is none. */
export const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
