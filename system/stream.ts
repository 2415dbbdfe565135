// A program with the two ends of one bulk transfer over TCP: `receive` counts, `send` sends until nobody listens.
//
//   stream.ts receive ADDRESS PORT WARM-UP-BYTES MILLISECONDS   prints bits per second, measured after the warm-up
//   stream.ts send ADDRESS PORT
import { connect, createServer } from 'node:net'
import process from 'node:process'

const [verb, host = '', port = '0', warmUp = '0', duration = '0'] = process.argv.slice(2)
const block = Buffer.alloc(256 * 1024)

function receive(): void {
  let [total, counted, since] = [0, 0, 0n]
  const server = createServer((socket) => {
    socket.on('data', ({ length }) => {
      total += length
      if (total < Number(warmUp)) return
      const now = process.hrtime.bigint()
      if (since === 0n) since = now
      else counted += length
      const elapsed = Number(now - since)
      if (elapsed < Number(duration) * 1e6) return
      console.log(8 * counted / (elapsed / 1e9))
      process.exit()
    })
  })
  server.listen(Number(port), host, () => console.log('ready'))
}

function send(): void {
  const socket = connect(Number(port), host)
  const fill = (): void => {
    while (socket.write(block));
  }
  socket.on('connect', fill).on('drain', fill).on('error', () => process.exit()).on('close', () => process.exit())
}

if (verb === 'receive') receive()
else send()
