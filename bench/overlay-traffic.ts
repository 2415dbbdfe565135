// What goes over a path: bulk TCP with iperf3(1), and small requests with round-trips.c.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { pathNames } from './overlay-paths.ts'
import type { Path, Paths } from './overlay-paths.ts'

const port = '5201'
/** That one measurement takes: many short ones say more than a few long ones when the machine has other work. */
const seconds = 1

/** How many connections iperf3 sends on. */
const streams = [1, 4] as const

/** What is measured, by title; each path has one figure per round. */
export type Traffic = Record<string, Record<keyof Paths, number[]>>

const inside = (netns: string, command: string[]): string[] => ['nsenter', `--net=${netns}`, ...command]

/** @throws Error with what the program said */
function output([program = '', ...words]: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: 'utf8', timeout: 60_000 })
  if (error || status !== 0) throw error ?? new Error(`${program} ${words.join(' ')}: ${stderr || stdout}`)
  return stdout
}

/** Gbit/s that arrive. */
async function bulk({ client, server, address }: Path, parallel: number): Promise<number> {
  const [program = '', ...words] = inside(server, ['iperf3', '--server', '--one-off', '--port', port])
  const listening = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...words], { stdio: 'ignore' })
  const ended = once(listening, 'exit')
  const listens = inside(server, ['ss', '-Hltn', `sport = :${port}`])
  while (output(listens) === '') await setTimeout(5)
  const ask = ['iperf3', '--client', address, '--port', port, '--json', '--time', String(seconds)]
  const answer = output(inside(client, [...ask, '--parallel', String(parallel)]))
  await ended
  const { end } = JSON.parse(answer) as { end: { sum_received: { bits_per_second: number } } }
  return end.sum_received.bits_per_second / 1e9
}

/** Thousands of round trips per second. */
function roundTrips(program: string, { client, server, address }: Path): number {
  return Number(output([program, server, client, address, '5202', String(1000 * seconds)])) / 1000
}

/**
 * Each path in turn, round by round, so that a slow moment of the machine meets all of them.
 * @param asker the compiled round-trips.c
 */
export async function measureTraffic(paths: Paths, asker: string, rounds: number): Promise<Traffic> {
  const series = (): Record<keyof Paths, number[]> => ({ overlay: [], flannel: [], routed: [] })
  const titles = streams.map((count) => `TCP, ${count === 1 ? 'one stream' : `${count} streams`}, Gbit/s`)
  const asking = 'requests of one byte, thousands per second'
  const traffic: Traffic = Object.fromEntries([...titles, asking].map((title) => [title, series()]))
  for (let round = 0; round < rounds; round += 1) {
    // Another one begins each time.
    const turn = pathNames.map((_, i) => pathNames[(i + round) % pathNames.length] ?? 'overlay')
    for (const [i, count] of streams.entries())
      for (const name of turn) traffic[titles[i] ?? '']?.[name].push(await bulk(paths[name], count))
    for (const name of turn) traffic[asking]?.[name].push(roundTrips(asker, paths[name]))
  }
  return traffic
}
