// Tables for people.

/** One line per row, columns as wide as they must be, two blanks apart. */
export const textTable = (header: readonly string[], rows: readonly (readonly string[])[]): string => {
  // What others have written must not command the terminal.
  const all = [header, ...rows].map(row => row.map(cell => cell.replace(/\p{Cc}/gu, '?')))
  const widths = header.map((_, column) => Math.max(...all.map(row => row[column]!.length)))
  return all.map(row => `${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()}\n`).join('')
}
