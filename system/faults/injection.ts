// Runs a plugin's ADD under strace(1), which can kill the process or let a system call fail. strace(1), "Tampering".
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import type { Attachment, Configuration, Host, Reply } from '../host.ts'
import { parseTrace, tracedCalls } from './trace.ts'
import type { Call } from './trace.ts'

/** 'kill' ends the process before the call is made; an error makes the call fail instead of being made. */
export type Fault = 'kill' | 'ENOSPC' | 'EPERM' | 'EBUSY' | 'ENOBUFS'

export interface TracedReply extends Reply {
  calls: Call[]
}

const file = join(tmpdir(), `trace-${process.pid}`)

/** What goes wrong, and where. */
export interface Wrong {
  call: Call
  fault: Fault
}

const tampering = (fault: Fault): string => fault === 'kill' ? 'signal=SIGKILL' : `error=${fault}`

/** ADD with all calls recorded and, if one is given, a fault at a call that an earlier trace has shown. */
export function tracedAdd(host: Host, configuration: Configuration, to: Attachment, wrong?: Wrong): TracedReply {
  const inject = wrong ? ['-e', `inject=${wrong.call.name}:${tampering(wrong.fault)}:when=${wrong.call.count}`] : []
  const strace = ['strace', '-f', '-yy', '-o', file, '-e', `trace=${tracedCalls}`, ...inject]
  const reply = host.call('ADD', configuration, to, strace)
  const calls = parseTrace(readFileSync(file, 'utf8'))
  rmSync(file)
  return { ...reply, calls }
}

/**
 * Whether the fault met the call that was meant, and no other. strace counts in each tracee by itself, so that a thread
 * or a child process that makes as many calls of the same name is met as well, perhaps first.
 */
export function metAsMeant(reply: TracedReply, { call, fault }: Wrong): boolean {
  const mark = fault === 'kill' ? /= \?$|<unfinished \.\.\.>$/ : /\(INJECTED\)/
  const met = reply.calls.filter(({ name, text }) => name === call.name && mark.test(text))
  return met.length === 1 && met[0]?.tracee === call.tracee && met[0].count === call.count
}
