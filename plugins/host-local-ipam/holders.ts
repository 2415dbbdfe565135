// Who holds which address, as one text in /run: so that finding the addresses of an attachment does not take reading
// every record, as the reference does. It is a copy; the records are the truth.
//
// The copy counts only while nobody else has touched the store. After each of our changes, as the last step and still
// under the lock, the store's directory gets a modification time in the past that the copy knows; whoever creates or
// removes a file there afterwards (the reference, a script, ourselves in a call that was killed) sets it to now. The
// time is random and the boot is written beside it, so that neither a lost nor an old copy can match. And what the copy
// says is compared with the record before use, so a mistake could only be one of omission.
import { tolerate } from '#sys/errno.ts'
import { appendText, makeDirectory, readText, removeFile, setModified, status, writeText } from '#sys/file.ts'

export const holdersDirectory = '/run/fairlead/host-local'

const LATEST_MARK = 2 ** 30 // seconds: the year 2004, so that no clock that is set comes near

// Without root's rights, in a read-only or a full /run the store is used without a copy.
const unusable = ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOENT', 'ENOTDIR', 'EEXIST', 'EIO']

const newMark = (): number => Math.floor(Math.random() * LATEST_MARK)

/** A line is the record's text as JSON, a space, the address. */
const beginning = (record: string): string => `\n${JSON.stringify(record)} `

export class Holders {
  #mark: number
  /** Starts with a newline, as every line does; ends without one. */
  #lines: string
  /** What is to be added to the file; undefined when all of it has to be written. */
  #added: string | undefined

  private constructor(mark: number, lines: string, added: string | undefined) {
    this.#mark = mark
    this.#lines = lines
    this.#added = added
  }

  /** A copy made afresh. @param records pairs of address and text */
  static from(records: Iterable<readonly [string, string]>): Holders {
    const lines = Array.from(records, ([address, record]) => `${beginning(record)}${address}`)
    return new Holders(newMark(), lines.join(''), undefined)
  }

  /** The copy for a store, undefined when there is none that counts. */
  static load(store: string, boot: string, directory: string): Holders | undefined {
    const found = status(store)
    const mark = found && found.modified / 1000
    if (mark === undefined || mark >= LATEST_MARK) return undefined
    const head = `${boot} ${mark}`
    const text = tolerate(unusable, () => readText(`${directory}/${found!.device}-${found!.inode}`))
    const ours = text?.startsWith(head) && [undefined, '\n'].includes(text[head.length])
    return ours ? new Holders(mark, text!.slice(head.length), '') : undefined
  }

  /** Makes the copy count for the store as it is now. Where /run cannot be written the next call reads the records. */
  save(store: string, boot: string, directory: string): void {
    const found = status(store)!
    tolerate(unusable, () => {
      const path = `${directory}/${found.device}-${found.inode}`
      if (this.#lines === '') {
        removeFile(path) // an empty store is read as quickly
        return
      }
      if (this.#added === undefined) {
        makeDirectory(directory, 0o700)
        writeText(path, `${boot} ${this.#mark}${this.#lines}`, 0o600)
      } else {
        appendText(path, this.#added, 0o600)
      }
      this.#added = ''
      setModified(store, this.#mark)
    })
  }

  /** The addresses under a record's text. */
  find(record: string): string[] {
    const needle = beginning(record)
    const addresses: string[] = []
    for (let at = this.#lines.indexOf(needle); at >= 0; at = this.#lines.indexOf(needle, at + 1)) {
      const start = at + needle.length
      const end = this.#lines.indexOf('\n', start)
      addresses.push(this.#lines.slice(start, end < 0 ? undefined : end))
    }
    return addresses
  }

  add(address: string, record: string): void {
    const line = beginning(record) + address
    this.#lines += line
    if (this.#added !== undefined) this.#added += line
  }

  remove(address: string, record: string): void {
    this.#added = undefined
    const line = beginning(record) + address
    const at = this.#lines.indexOf(`${line}\n`)
    if (at >= 0) this.#lines = this.#lines.slice(0, at) + this.#lines.slice(at + line.length)
    else if (this.#lines.endsWith(line)) this.#lines = this.#lines.slice(0, -line.length)
  }
}
