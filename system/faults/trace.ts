// What a process asked of the kernel, read from strace(1), and which of it changes something outside the process.

/** One system call of a traced process. */
export interface Call {
  /** Which of the traced threads and processes, counted in the order in which they appear. */
  tracee: number
  name: string
  /** The how manyth call of this name in this tracee, from 1: what strace's `when=` counts. */
  count: number
  /** Arguments and result as strace prints them. */
  text: string
}

const writing = ['write', 'writev', 'pwrite64', 'pwritev', 'sendto', 'sendmsg', 'sendmmsg']
const reading = ['read', 'recvfrom', 'recvmsg']
const opening = ['open', 'openat', 'openat2', 'creat']
const naming = [
  'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'link', 'linkat', 'symlink', 'symlinkat',
  'mkdir', 'mkdirat', 'rmdir', 'truncate', 'utimensat', 'chmod', 'fchmodat', 'chown', 'fchownat', 'mount', 'umount2',
  'setns', 'connect',
]
const describing = ['ftruncate', 'fallocate', 'fchmod', 'fchown', 'flock', 'ioctl']

/** For `strace -e trace=`; a question mark lets strace pass over names that the architecture does not have. */
export const tracedCalls = [...writing, ...reading, ...opening, ...naming, ...describing, 'exit_group']
  .map((name) => `?${name}`).join(',')

interface Entry {
  pid: string
  name: string
  text: string
}

/** One entry for each call; what strace had to interrupt for another thread's line is put together again. */
function entriesOf(trace: string): Entry[] {
  const open = new Map<string, Entry>()
  return trace.split('\n').flatMap((line) => {
    const [, pid = '', resumed, name, text = ''] = /^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$/.exec(line) ?? []
    const earlier = open.get(pid)
    if (resumed !== undefined && earlier) earlier.text = earlier.text.replace(/ *<unfinished \.\.\.>$/, '') + text
    if (name === undefined) return []
    const entry = { pid, name, text }
    open.set(pid, entry)
    return [entry]
  })
}

/** Writing some sysctls, the kernel starts the call anew until nobody else holds the lock of all networks. */
const startedAnew = / = \? ERESTART/

/** Reads the file that `strace -f -yy -o` wrote. */
export function parseTrace(trace: string): Call[] {
  const tracees: string[] = []
  const counts = new Map<string, number>()
  return entriesOf(trace).filter(({ text }) => !startedAnew.test(text)).map(({ pid, name, text }) => {
    if (!tracees.includes(pid)) tracees.push(pid)
    const key = `${pid} ${name}`
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return { tracee: tracees.indexOf(pid), name, count, text }
  })
}

/** The file descriptor that a call begins with, and what `strace -yy` says is behind it. */
function target(call: Call): { fd: number, behind: string } {
  const [, fd = '-1', behind = ''] = /^(-?\d+)(?:<([^>]*)>)?/.exec(call.text) ?? []
  return { fd: Number(fd), behind }
}

/** The runtime's own wake-ups, pipes, shared memory and terminals: nothing of this outlives the process. */
const ownAffair = /^(anon_inode:|pipe:|\/dev\/|\/memfd:|\/proc\/self\/(?!ns))/

/** A write to a netlink or other socket or to a file, a file opened for that, a name, a lock, a device's setting. */
export function changesSomething(call: Call): boolean {
  const { fd, behind } = target(call)
  if (writing.includes(call.name)) return fd > 2 && !ownAffair.test(behind)
  if (opening.includes(call.name)) return /O_(CREAT|WRONLY|RDWR|TRUNC)/.test(call.text) && !/"\/dev\//.test(call.text)
  if (call.name === 'ioctl') return !/<[^>]*>, (TC|TIO|FIO)/.test(call.text)
  if (describing.includes(call.name)) return !ownAffair.test(behind)
  return naming.includes(call.name)
}

/** The result on its way to the runtime, and the end: everything is done, nobody has been told yet. */
export function isLast(call: Call): boolean {
  return call.tracee === 0 && (call.name === 'exit_group' || (writing.includes(call.name) && target(call).fd === 1))
}

/** The kernel's answer to something that it has done. */
export function isAnswer(call: Call): boolean {
  return reading.includes(call.name) && /^NETLINK/.test(target(call).behind)
}

/** One line for people. */
export function describeCall(call: Call): string {
  return `${call.name} #${call.count} ${call.text.replace(/\s+= .*$/, '').slice(0, 70)}`
}
