// Real connections for tests, started in a namespace by tools/kernel.ts's `Namespace.run`.
//   node tools/traffic.ts serve PORT…     answers on each port, TCP and UDP, IPv4 and IPv6, with its own port and the
//                                         address that it sees the asker at, until its stdin ends; says `ready` first
//   node tools/traffic.ts ask JSON        asks `[{"protocol":"tcp","address":"10.0.0.1","port":80}, …]` all at once
//                                         and prints a list of the answers, null for each that did not come
import { createSocket } from 'node:dgram'
import { createConnection, createServer } from 'node:net'
import process from 'node:process'

interface Question { readonly protocol: 'tcp' | 'udp'; readonly address: string; readonly port: number }

// Patience is counted in turns, which are as long as the machine is busy: it keeps the others waiting as well.
const TURN_MS = 50
const PATIENCE = 16
/** A lost datagram is not sent again by anybody else. */
const REPEAT = 4

const plain = (address = ''): string => address.replace('::ffff:', '')

const serve = (ports: readonly number[]): void => {
  let starting = 2 * ports.length
  const ready = (): void => { if (--starting === 0) console.log('ready') }
  for (const port of ports) {
    createServer(socket => socket.on('error', () => {}).end(`${port} ${plain(socket.remoteAddress)}`))
      .listen(port, '::', ready)
    const socket = createSocket('udp6')
    socket.on('message', (_, from) => socket.send(`${port} ${plain(from.address)}`, from.port, from.address))
    socket.bind(port, '::', ready)
  }
  process.stdin.on('end', () => process.exit()).resume()
}

const ask = ({ protocol, address, port }: Question): Promise<string | null> => new Promise(answer => {
  const take = (data: Uint8Array): void => answer(`${data}`)
  const giveUp = (): void => answer(null)
  let send = (): void => {}
  if (protocol === 'tcp') {
    createConnection(port, address).on('error', giveUp).on('data', take)
  } else {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4').on('error', giveUp).on('message', take)
    send = () => socket.send('?', port, address, () => {})
    send()
  }
  let turn = 0
  setInterval(() => {
    turn++
    if (turn % REPEAT === 0) send()
    if (turn === PATIENCE) giveUp()
  }, TURN_MS)
})

const [command, ...words] = process.argv.slice(2)
if (command === 'serve') {
  serve(words.map(Number))
} else {
  const questions = JSON.parse(words[0] ?? '[]') as Question[]
  console.log(JSON.stringify(await Promise.all(questions.map(ask))))
  process.exit()
}
