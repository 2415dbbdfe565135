// Kills an ADD before, and fails, each system call that changes something: nothing may stay that does not belong there.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { comment, test } from 'tap'
import type { Test } from 'tap'
import { isShared, without } from '../facts.ts'
import { plugins } from '../host.ts'
import type { Configuration, Reply } from '../host.ts'
import { metAsMeant, tracedAdd } from './injection.ts'
import type { Fault, TracedReply } from './injection.ts'
import { Scene, must } from './scene.ts'
import type { Cast } from './scene.ts'
import { changesSomething, describeCall, isAnswer, isLast } from './trace.ts'
import type { Call } from './trace.ts'

/** Milliseconds that all faults of one configuration may take on a slow and busy machine. */
const patience = 20 * 60_000

/** How many faults: 1 has each call meet one of its faults in turn, 3 each third call, 0 all calls all of them. */
const wanted = process.env['FAIRLEAD_FAULTS']

const errors: Fault[] = ['ENOSPC', 'EPERM', 'EBUSY', 'ENOBUFS']

/**
 * A call that the kernel has started anew, a quicker thread of the runtime, or waiting that took longer lets strace
 * meet another call.
 */
const attempts = 30
/** Each so manyth attempt asks an ADD of now for the call: the first one may have waited longer than any after it. */
const relearning = 5

/** How DEL is called after a death: what the runtime still has. */
const remains = { nothing: '', prevResult: ' with prevResult', noNamespace: ' without a namespace' }

type Remains = keyof typeof remains

/** One configuration on one kind of host. */
class Trial {
  readonly #t: Test
  readonly #cast: Cast
  readonly #fleeting: RegExp | undefined
  /** What an undisturbed ADD and DEL leave. */
  #allowed: string[] = []
  /** How every scene begins; the first one tells, unless a plugin has made links with random addresses before. */
  #before: string[] | undefined
  #learnt: readonly Call[] = []
  /** Faults that met the call that was meant. */
  faults = 0

  constructor(t: Test, cast: Cast, fleeting?: RegExp) {
    this.#t = t
    this.#cast = cast
    this.#fleeting = fleeting
  }

  /** ADD and DEL without a fault: the calls that they make, and that they leave only what containers share. */
  learn(): Call[] {
    using scene = new Scene(this.#cast)
    if (this.#cast.behind === undefined) this.#before = scene.before
    const reply = tracedAdd(scene.host, scene.configuration, scene.subject)
    must(reply)
    must(scene.call('DEL'))
    this.#allowed = without(scene.host.facts(scene.subject.netns), scene.before)
    const strange = this.#allowed.filter((fact) => !isShared(fact) && !this.#fleeting?.test(`left: ${fact}`))
    this.#t.same(strange, [], 'ADD and DEL without a fault leave only what containers share')
    this.#t.same(scene.difference(this.#allowed, this.#fleeting), [], 'and take nothing away')
    // An interface that a plugin before has made is labelled for this container.
    if (this.#cast.behind === undefined) scene.subject.id = 'test-second'
    must(scene.call('ADD'))
    must(scene.call('DEL'))
    this.#t.same(scene.difference(this.#allowed, this.#fleeting), [], 'a second ADD and DEL leave no more')
    this.#learnt = reply.calls
    return reply.calls
  }

  /** Death before `call` is made; DEL, knowing nothing of the ADD, has to find all that is there. */
  kill(call: Call, left: Remains): void {
    const name = `killed before ${describeCall(call)}, then DEL${remains[left]}`
    this.#withFault(name, call, 'kill', (scene) => {
      if (left === 'noNamespace') scene.deletePod()
      this.#del(name, scene, left === 'prevResult' ? scene.configuration['prevResult'] : undefined)
    })
  }

  /** `call` fails: ADD says so and takes everything back, or it could do without, and CHECK agrees. */
  fail(call: Call, error: Fault): void {
    const name = `${error} from ${describeCall(call)}`
    this.#withFault(name, call, error, (scene, reply) => {
      if (reply.status === 0) {
        this.#check(name, scene, reply)
        this.#del(name, scene, parsed(reply))
        return
      }
      this.#t.match(parsed(reply), { code: Number, msg: String }, `${name}: one JSON error`)
      this.#t.same(scene.difference(this.#allowed), [], `${name}: ADD leaves nothing`)
      this.#del(name, scene)
    })
  }

  #withFault(name: string, call: Call, fault: Fault, judge: (scene: Scene, reply: TracedReply) => void): void {
    let aim = call
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      if (attempt % relearning === 0) aim = this.#relearnt(call)
      using scene = new Scene(this.#cast, this.#before)
      const reply = tracedAdd(scene.host, scene.configuration, scene.subject, { call: aim, fault })
      if (!metAsMeant(reply, { call: aim, fault })) continue
      judge(scene, reply)
      this.faults += 1
      return
    }
    this.#t.fail(`${name}: the fault met other calls in ${attempts} attempts`)
  }

  /** A call behind some waiting, in an ADD of now: counted from the end, which no waiting shifts. */
  #relearnt(call: Call): Call {
    using scene = new Scene(this.#cast, this.#before)
    const reply = tracedAdd(scene.host, scene.configuration, scene.subject)
    must(reply)
    must(scene.call('DEL'))
    const alike = ({ name, tracee }: Call): boolean => name === call.name && tracee === call.tracee
    return reply.calls.filter(alike).at(call.count - 1 - this.#learnt.filter(alike).length) ?? call
  }

  #check(name: string, scene: Scene, reply: Reply): void {
    const { status, stdout } = scene.call('CHECK', { prevResult: parsed(reply) })
    this.#t.equal(status, 0, `${name}: ADD succeeded, so CHECK does: ${stdout}`)
  }

  #del(name: string, scene: Scene, prevResult?: unknown): void {
    const { status, stdout } = scene.call('DEL', { prevResult })
    this.#t.equal(status, 0, `${name}: DEL succeeds: ${stdout}`)
    this.#t.same(scene.difference(this.#allowed, this.#fleeting), [], `${name}: nothing stays`)
  }
}

function parsed(reply: Reply): unknown {
  try {
    return JSON.parse(reply.stdout)
  } catch {
    return `not one JSON value: ${reply.signal ?? reply.status} ${reply.stdout} ${reply.stderr}`
  }
}

/** How a configuration is tested. */
interface Options {
  /** Why the plugin cannot work on this kernel. */
  readonly skip?: string | false
  /** Each call meets one of its faults in turn, where FAIRLEAD_FAULTS does not say otherwise. */
  readonly sample?: boolean
  /** For a chained plugin: the one before it. Everything is compared with what that one's ADD has left. */
  readonly behind?: Configuration
  /** Keys in which the neighbour's configuration differs, for example a port that only one can have. */
  readonly neighbour?: Readonly<Record<string, unknown>>
  /** `left: FACT` and `lost: FACT` that DEL may leave to the plugin before it, whose DEL removes the interface. */
  readonly fleeting?: RegExp
}

/** The neighbour's configuration: nobody else can have the subject's device or VLAN. */
function besides(configuration: Configuration, keys: Options['neighbour']): Configuration {
  const { device, vlanId } = configuration
  return {
    ...configuration,
    ...typeof device === 'string' && { device: `${device}b` },
    ...typeof vlanId === 'number' && { vlanId: vlanId + 1 },
    ...keys,
  }
}

/**
 * Tests a configuration on an empty host and beside a neighbour of the same network. The calling process must be in
 * private namespaces. The comment is how tap hears of another timeout from a process that it has no channel to.
 *
 * @throws Error when the plugin is not there
 */
export function injectFaults(configuration: Configuration, options: Options = {}): void {
  const { skip = false, sample = false, behind, fleeting } = options
  const stride = Number(wanted ?? (sample ? 1 : 0))
  const program = join(plugins, configuration.type)
  if (!existsSync(program)) throw new Error(`FAIRLEAD_BIN: no ${program}: build it or name another directory`)
  comment(`timeout=${patience}`)
  for (const neighbour of [undefined, besides(configuration, options.neighbour)]) {
    test(neighbour ? 'beside a neighbour' : 'first of its network', { timeout: 0, skip }, async (t) => {
      const trial = new Trial(t, { configuration, behind, neighbour }, fleeting)
      const calls = trial.learn()
      const changes = calls.filter(changesSomething)
      const deaths: Remains[] = behind ? ['nothing', 'noNamespace', 'prevResult'] : ['nothing', 'noNamespace']
      const kills = (call: Call) => deaths.map((left) => () => trial.kill(call, left))
      const failures = (call: Call) => errors.map((error) => () => trial.fail(call, error))
      const faults = [
        ...changes.map((call) => [...kills(call), ...failures(call)]),
        ...calls.filter(isLast).map(kills),
        ...calls.filter(isAnswer).map((call) => [() => trial.fail(call, 'ENOBUFS')]),
      ]
      for (const [at, all] of faults.entries()) {
        const [turn, isDue] = stride > 0 ? [Math.floor(at / stride), at % stride === 0] : [0, true]
        for (const [which, inject] of all.entries()) {
          if (isDue && (stride === 0 || which === turn % all.length)) inject()
        }
      }
      t.comment(`${changes.length} calls that change something, ${trial.faults} faults`)
    })
  }
}
