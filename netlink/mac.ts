// Hardware addresses: text to bytes and back.

const forms = /^(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1)*[0-9a-f]{2}|(?:[0-9a-f]{4}\.)+[0-9a-f]{4})$/i

const nibble = (code: number): number => code < 58 ? code - 48 : (code | 32) - 87

/** The 6, 8 or 20 bytes of a hardware address in colon, hyphen or dotted form (as Go's net.ParseMAC), or undefined. */
export const parseMac = (text: string): Uint8Array | undefined => {
  if (!forms.test(text)) return undefined
  const digits = text.replace(/[:.-]/g, '')
  if (![12, 16, 40].includes(digits.length)) return undefined
  const bytes = new Uint8Array(digits.length / 2)
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = nibble(digits.charCodeAt(2 * i)) << 4 | nibble(digits.charCodeAt(2 * i + 1))
  return bytes
}

/** Lower-case, colon-separated text of a hardware address. */
export const formatMac = (bytes: Uint8Array): string => {
  let text = ''
  for (const byte of bytes) text += `${text && ':'}${byte < 16 ? '0' : ''}${byte.toString(16)}`
  return text
}
