// What a delegate was given, compared with what its caller was given (SPEC.md, section 4).

import { must, mustEqual } from './expect.ts'
import type { Stub } from './stub.ts'
import type { Attempt, World } from './world.ts'

/** Throws unless the delegate saw the verb once, with the bytes and the environment of the call. */
export const mustForward = (world: World, delegate: Stub, verb: string, attempt: Attempt = {}): void => {
  const calls = delegate.calls().filter(call => call.verb === verb)
  const all = delegate.verbs().join(' ')
  must(calls.length === 1, `the delegate was called ${calls.length} times with ${verb}; its calls: ${all}`)
  const { env, stdin } = world.invocation(verb, attempt)
  mustEqual(calls[0]?.stdin.toString(), stdin, `stdin of the delegate's ${verb}`)
  for (const [name, value] of Object.entries(env)) mustEqual(calls[0]?.env[name], value, `${name} of the delegate`)
}
