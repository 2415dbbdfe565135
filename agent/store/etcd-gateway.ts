// The members of an etcd cluster as one: fail-over, logging in, and what their errors mean.
import { isObject } from '#cni/json.ts'
import { Endpoint, NoAnswer, type Answer, type Certificates } from './endpoint.ts'
import type { GatewayError } from './etcd-wire.ts'
import { StoreError } from './store-error.ts'

/** Where an etcd cluster is and how to get in. `timeout` is for one answer of one member, in milliseconds. */
export interface Access {
  /** `https://10.0.0.1:2379`, one or more. */
  readonly endpoints: readonly string[]
  readonly tls?: Certificates
  readonly user?: { readonly name: string; readonly password: string }
  readonly timeout?: number
}

// google.rpc.Code
const [DEADLINE_EXCEEDED, OUT_OF_RANGE, UNAVAILABLE, UNAUTHENTICATED] = [4, 11, 14, 16]

/** Whether sending a request twice does no harm, or makes a difference. */
export type Kind = 'repeatable' | 'once'

/** A member that cannot serve now; another one may. `applied` says whether it may have worked all the same. */
class Unserved extends Error {
  readonly applied: boolean
  constructor(message: string, applied: boolean) {
    super(message)
    this.applied = applied
  }
}

/** What etcd says is an object; anything else comes from something in front of it, or in its place. @throws NoAnswer */
export const objectIn = (endpoint: string, text: string): Readonly<Record<string, unknown>> => {
  try {
    const object: unknown = JSON.parse(text)
    if (isObject(object)) return object
  } catch { /* told below */ }
  throw new NoAnswer(endpoint, `that is no etcd: it answers ${JSON.stringify(text.slice(0, FEW_WORDS))}`, true)
}

const [FEW_WORDS, MOST_WORDS] = [40, 200]

const errorOf = ({ status, text }: Answer): Required<GatewayError> => {
  try {
    const { code = 0, message, error } = JSON.parse(text) as GatewayError
    return { code, message: message ?? error ?? text, error: error ?? '' }
  } catch {
    // Not the gateway but something in front of it: etcd's own checks, in plain text, or a proxy, in HTML.
    const words = text.startsWith('<') ? '' : text.trim().split('\n', 1)[0]!.slice(0, MOST_WORDS)
    const advice = text.includes('CommonName') ? ': take a client certificate without a common name (CN)' : ''
    const message = `HTTP status ${status}${words && `: ${words}`}${advice}`
    return { code: status >= 500 ? UNAVAILABLE : 0, message, error: '' }
  }
}

const expired = /invalid auth token|auth store is old|user name is empty/

/** A token that has expired, was of another leader, or of before a change of users. */
export const isLoginExpired = ({ code, message = '' }: GatewayError): boolean =>
  code === UNAUTHENTICATED || expired.test(message)

/** An error of the gateway's as one that says what to do. */
export const failureOf = (endpoint: string, { code = 0, message = '' }: GatewayError): Error => {
  if (code === OUT_OF_RANGE) return new StoreError('stale', `${endpoint}: ${message}`)
  if (code !== UNAVAILABLE && code !== DEADLINE_EXCEEDED) return new StoreError('refused', `${endpoint}: ${message}`)
  return new Unserved(`${endpoint}: ${message}`, !message.includes('no leader'))
}

export class Gateway {
  readonly #endpoints: readonly Endpoint[]
  readonly #access: Access
  /** The member that answered last. */
  #current = 0
  #token: Promise<string | undefined> | undefined

  constructor(access: Access) {
    this.#access = access
    this.#endpoints = access.endpoints.map(url => new Endpoint(url, access.tls ?? {}, access.timeout ?? 3000))
  }

  get name(): string { return `etcd ${this.#access.endpoints.join()}` }

  /** Calls a method of the gateway on the first member that serves. @throws StoreError */
  async call(path: string, body: object, kind: Kind): Promise<unknown> {
    return await this.#onAny(kind, async endpoint => {
      const text = JSON.stringify(body)
      for (let attempt = 1; ; attempt++) {
        const answer = await endpoint.post(path, text, await this.#headers(endpoint))
        if (answer.status === 200) return objectIn(endpoint.name, answer.text)
        const error = errorOf(answer)
        if (!isLoginExpired(error) || this.#access.user === undefined || attempt > 1)
          throw failureOf(endpoint.name, error)
        this.forget()
      }
    })
  }

  /** Opens a stream of answers, one JSON text per line. The member that serves it is named. @throws StoreError */
  async open(path: string, body: object, signal: AbortSignal) {
    return await this.#onAny('repeatable', async endpoint => {
      for (let attempt = 1; ; attempt++) {
        // Without it a member that has lost the others would keep the stream open and silent.
        const headers = { ...await this.#headers(endpoint), 'Grpc-Metadata-hasleader': 'true' }
        const lines = endpoint.lines(path, JSON.stringify(body), headers, signal)
        const first: string | void = (await lines.next()).value
        const isRefused = first !== undefined && this.#access.user !== undefined && expired.test(first)
        if (!isRefused || attempt > 1) return { endpoint: endpoint.name, first, lines }
        await lines.return()
        this.forget()
      }
    })
  }

  /** Logs in anew at the next request. */
  forget(): void { this.#token = undefined }

  /** Asks another member first at the next request. */
  turn(): void { this.#current = (this.#current + 1) % this.#endpoints.length }

  close(): void { for (const endpoint of this.#endpoints) endpoint.close() }

  async #onAny<T>(kind: Kind, step: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    const reasons: string[] = []
    const first = this.#current
    for (let i = 0; i < this.#endpoints.length; i++) {
      const index = (first + i) % this.#endpoints.length
      try {
        const result = await step(this.#endpoints[index]!)
        this.#current = index
        return result
      } catch (error) {
        if (!(error instanceof NoAnswer || error instanceof Unserved)) throw error
        const applied = error instanceof NoAnswer ? error.sent : error.applied
        if (applied && kind === 'once') {
          this.#current = (index + 1) % this.#endpoints.length
          throw new StoreError('unknown', `no answer from ${error.message}`, { cause: error })
        }
        reasons.push(error.message)
      }
    }
    throw new StoreError('unreachable', `no member of the store answers: ${reasons.join('; ')}`)
  }

  async #headers(endpoint: Endpoint): Promise<Record<string, string>> {
    const { user } = this.#access
    const json = { 'content-type': 'application/json' }
    if (user === undefined) return json
    this.#token ??= this.#login(endpoint, user)
    try {
      const token = await this.#token
      return token === undefined ? json : { ...json, authorization: token }
    } catch (error) {
      this.forget()
      throw error
    }
  }

  async #login(endpoint: Endpoint, user: NonNullable<Access['user']>): Promise<string | undefined> {
    const headers = { 'content-type': 'application/json' }
    const answer = await endpoint.post('/v3/auth/authenticate', JSON.stringify(user), headers).catch(error => {
      // Whatever was to be asked has not been.
      throw error instanceof NoAnswer ? new NoAnswer(endpoint.name, 'no answer to logging in', false) : error
    })
    if (answer.status === 200) return (JSON.parse(answer.text) as { token: string }).token
    const error = errorOf(answer)
    if (error.message.includes('authentication is not enabled')) return undefined
    const failure = failureOf(endpoint.name, error)
    throw failure instanceof Unserved ? new Unserved(failure.message, false) : failure
  }
}

/** What an error inside a stream means, as far as the stream is concerned. */
export const streamFailure = (endpoint: string, error: GatewayError): StoreError => {
  const failure = failureOf(endpoint, error)
  return failure instanceof StoreError ? failure : new StoreError('unreachable', failure.message)
}

