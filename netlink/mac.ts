// Hardware addresses: text to bytes and back.

const forms = /^(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1)*[0-9a-f]{2}|(?:[0-9a-f]{4}\.)+[0-9a-f]{4})$/i

/** The 6, 8 or 20 bytes of a hardware address in colon, hyphen or dotted form (as Go's net.ParseMAC), or undefined. */
export const parseMac = (text: string): Uint8Array | undefined => {
  if (!forms.test(text)) return undefined
  const digits = text.replace(/[:.-]/g, '')
  if (![12, 16, 40].includes(digits.length)) return undefined
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16))
}

/** Lower-case, colon-separated text of a hardware address. */
export const formatMac = (bytes: Uint8Array): string => {
  let text = ''
  for (const byte of bytes) text += `${text && ':'}${byte < 16 ? '0' : ''}${byte.toString(16)}`
  return text
}
