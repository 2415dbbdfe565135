// The system's message bus, as much of it as asking takes: D-Bus Specification 0.43, "Authentication Protocol".
// Synchronous, over a socket of libc's: a program that speaks it for others, such as busctl, costs more than all the
// rest of a call, and not every host has the same one.
import { close, readInto, writeAll } from '#sys/file.ts'
import { connectUnix, isReadable } from '#sys/libc.ts'
import { tolerate } from '#sys/errno.ts'
import { decodeReply, encodeCall, ERROR, FIXED, lengthOf, METHOD_RETURN, type Method } from './bus-message.ts'

const STANDARD = 'unix:path=/run/dbus/system_bus_socket'
/** As libdbus waits for an answer. */
const PATIENCE_MS = 25_000

/** What a method answered in place of a result: `name` such as `org.freedesktop.DBus.Error.ServiceUnknown`. */
export class BusError extends Error {
  override readonly name: string
  constructor(name: string, message: string) {
    super(message)
    this.name = name
  }
}

/** The socket names of an address list, in its order; transports other than sockets of this host are left out. */
export const socketNames = (addresses: string): readonly string[] => addresses.split(';').flatMap(address => {
  if (!address.startsWith('unix:')) return []
  const keys = new Map(address.slice('unix:'.length).split(',').map(pair => {
    const [key = '', value = ''] = pair.split('=')
    return [key, decodeURIComponent(value)]
  }))
  const abstract = keys.get('abstract')
  return abstract === undefined ? keys.get('path') ?? [] : `\0${abstract}`
})

/** One connection to the bus. */
export class SystemBus implements Disposable {
  readonly #fd: number
  #serial = 0
  #received = new Uint8Array()

  private constructor(fd: number) { this.#fd = fd }

  /**
   * Connects to the bus, undefined when this host runs none.
   * @param addresses as in the environment variable, several parted by semicolons
   * @throws BusError when it turns us away
   */
  static open(addresses = process.env['DBUS_SYSTEM_BUS_ADDRESS'] || STANDARD): SystemBus | undefined {
    for (const name of socketNames(addresses)) {
      const fd = tolerate(['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'EACCES'], () => connectUnix(name))
      if (fd === undefined) continue
      const bus = new SystemBus(fd)
      try {
        bus.#introduce()
        return bus
      } catch (error) {
        close(fd)
        throw error
      }
    }
    return undefined
  }

  /**
   * Calls a method and waits for its answer. Nothing is started in order to be asked.
   * @returns the first value of the answer: a text, number or boolean
   * @throws BusError with the name of the error that was answered
   */
  call(method: Method, ...args: readonly string[]): unknown {
    const serial = ++this.#serial
    writeAll(this.#fd, encodeCall(method, args, serial))
    for (;;) {
      const reply = decodeReply(this.#nextMessage())
      if (reply.serial !== serial) continue
      if (reply.type === METHOD_RETURN) return reply.value
      if (reply.type === ERROR) throw new BusError(String(reply.errorName), String(reply.value ?? method.member))
    }
  }

  [Symbol.dispose](): void { close(this.#fd) }

  #introduce(): void {
    const user = [...`${process.geteuid?.() ?? 0}`].map(digit => digit.charCodeAt(0).toString(16)).join('')
    writeAll(this.#fd, `\0AUTH EXTERNAL ${user}\r\nBEGIN\r\n`)
    const answer = new TextDecoder().decode(this.#line())
    if (!answer.startsWith('OK')) throw new BusError('org.freedesktop.DBus.Error.AuthFailed', answer)
    const path = '/org/freedesktop/DBus'
    const name = 'org.freedesktop.DBus'
    this.call({ destination: name, path, interface: name, member: 'Hello' })
  }

  #receive(): void {
    if (!isReadable(this.#fd, PATIENCE_MS))
      throw new BusError('org.freedesktop.DBus.Error.NoReply', `no answer within ${PATIENCE_MS / 1000} seconds`)
    const chunk = new Uint8Array(4096)
    const count = readInto(this.#fd, chunk)
    if (count === 0) throw new BusError('org.freedesktop.DBus.Error.Disconnected', 'the bus has hung up')
    const longer = new Uint8Array(this.#received.length + count)
    longer.set(this.#received)
    longer.set(chunk.subarray(0, count), this.#received.length)
    this.#received = longer
  }

  #take(length: number): Uint8Array {
    while (this.#received.length < length) this.#receive()
    const taken = this.#received.slice(0, length)
    this.#received = this.#received.slice(length)
    return taken
  }

  #line(): Uint8Array {
    let end
    while ((end = this.#received.indexOf(0x0a)) < 0) this.#receive()
    return this.#take(end + 1)
  }

  #nextMessage(): Uint8Array {
    while (this.#received.length < FIXED) this.#receive()
    return this.#take(lengthOf(this.#received))
  }
}
