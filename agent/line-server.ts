// The agent's socket: a line of JSON comes in, a line of JSON goes out, any number of times per connection.
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { dirname } from 'node:path'
import type { Answer, Request } from '#cni/cluster/agent-socket.ts'
import { isObject } from '#cni/json.ts'
import { makeDirectory, status } from '#sys/file.ts'

const [PRIVATE, OWNER_ONLY] = [0o700, 0o600]
/** No request of ours is nearly as long. */
const LONGEST = 1 << 16

const readRequest = (line: string): Request | undefined => {
  try {
    const request: unknown = JSON.parse(line)
    return isObject(request) && typeof request['op'] === 'string' ? request as Request : undefined
  } catch {
    return undefined
  }
}

const unreadable: Answer = {
  ok: false, obstacle: 'invalid', message: 'that is no request', advice: 'write {"op":"status"}',
}

const serve = (socket: Socket, answer: (request: Request) => Promise<Answer>): void => {
  let rest = ''
  let last = Promise.resolve()
  socket.setEncoding('utf8')
  socket.on('error', () => { socket.destroy() })
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    if (rest.length > LONGEST) socket.destroy()
    for (const line of lines) {
      last = last.then(async () => {
        const request = readRequest(line)
        const said = request === undefined ? unreadable : await answer(request)
        socket.write(`${JSON.stringify(said)}\n`)
      })
    }
  })
}

/** A socket that somebody answers on. */
export interface Listener {
  /** Makes the socket anew when somebody has removed it, or its directory. */
  listenAgain(): Promise<void>
  close(): void
}

const listenOn = async (path: string, answer: (request: Request) => Promise<Answer>): Promise<Server> => {
  makeDirectory(dirname(path), PRIVATE)
  rmSync(path, { force: true })
  const server = createServer(socket => { serve(socket, answer) })
  server.listen(path)
  await once(server, 'listening')
  chmodSync(path, OWNER_ONLY)
  return server
}

/**
 * Listens on a path, in a directory that only root may enter. What a dead agent has left there is replaced: the lock
 * of the state directory says that it is dead.
 */
export const listen = async (path: string, answer: (request: Request) => Promise<Answer>): Promise<Listener> => {
  let server = await listenOn(path, answer)
  return {
    async listenAgain() {
      if (status(path) !== undefined) return
      server.close() // first: it removes whatever is at the path
      server = await listenOn(path, answer)
    },
    close() { server.close() },
  }
}
