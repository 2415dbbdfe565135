// What can be told of an agent from outside: whether it listens, and what it takes as the kernel counts it, proc(5).
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'

/** Whether somebody listens on a socket, which is there a moment before. */
export const listens = async (path: string): Promise<boolean> => {
  if (!existsSync(path)) return false
  const socket = connect(path)
  const stands = await once(socket, 'connect').then(() => true, () => false)
  socket.destroy()
  return stands
}

/** Resident memory of a process in megabytes; `VmHWM` is the most that it ever was. */
export const memoryOf = (pid: number, field: 'VmRSS' | 'VmHWM' = 'VmRSS'): number =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

/** Processor time that a process has taken in all its threads, in milliseconds. */
export const processorTimeOf = (pid: number): number => readdirSync(`/proc/${pid}/task`).reduce((sum, task) =>
  sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6, 0)
