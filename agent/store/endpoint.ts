// One address of a store that is reached through HTTP: requests with a deadline, and answers that go on.
import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

/** What a TLS connection is made with: PEM texts. `ca` stands in for the system's authorities. */
export interface Certificates { readonly ca?: string; readonly cert?: string; readonly key?: string }

export interface Answer { readonly status: number; readonly text: string }

/** No answer came. `sent` tells whether the request may have got through. */
export class NoAnswer extends Error {
  readonly sent: boolean
  constructor(endpoint: string, why: string, sent: boolean, options?: ErrorOptions) {
    super(`${endpoint}: ${why}`, options)
    this.sent = sent
  }
}

type Headers = Readonly<Record<string, string>>

const wordsOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** A dead peer is noticed by a watch, on which only the other side speaks, within 20 s: ten unanswered probes. */
const PROBE_AFTER = 10_000

export class Endpoint {
  readonly url: URL
  readonly #agent: HttpAgent | HttpsAgent
  readonly #certificates: Certificates
  readonly #patience: number

  /** @param patience milliseconds for a whole answer; a connection has to stand within half of it */
  constructor(url: string, certificates: Certificates, patience: number) {
    this.url = new URL(url)
    this.#certificates = certificates
    this.#patience = patience
    this.#agent = this.#secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  }

  get name(): string { return this.url.origin }

  get #secure(): boolean { return this.url.protocol === 'https:' }

  #open(path: string, headers: Headers, agent: HttpAgent | HttpsAgent | false): ClientRequest {
    const options = { method: 'POST', agent, headers }
    const url = new URL(path, this.url)
    return this.#secure ? httpsRequest(url, { ...options, ...this.#certificates }) : httpRequest(url, options)
  }

  /** Starts a request; `begun` resolves with the head of the answer. */
  #begin(path: string, body: string, headers: Headers, agent: HttpAgent | HttpsAgent | false) {
    const request = this.#open(path, { ...headers, 'content-length': String(Buffer.byteLength(body)) }, agent)
    let connected = false
    const slow = setTimeout(() => request.destroy(new Error('no connection in time')), this.#patience / 2)
    const stands = (): void => {
      connected = true
      clearTimeout(slow)
    }
    request.on('socket', socket => {
      if (socket.connecting) socket.once(this.#secure ? 'secureConnect' : 'connect', stands)
      else stands()
    })
    const begun = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      request.on('error', error => {
        clearTimeout(slow)
        reject(new NoAnswer(this.name, wordsOf(error), connected, { cause: error }))
      })
    })
    request.end(body)
    return { request, begun }
  }

  /** Posts a body and reads the whole answer. @throws NoAnswer */
  async post(path: string, body: string, headers: Headers): Promise<Answer> {
    const { request, begun } = this.#begin(path, body, headers, this.#agent)
    const late = setTimeout(() => request.destroy(new Error(`no answer in ${this.#patience} ms`)), this.#patience)
    try {
      const response = await begun
      response.setEncoding('utf8')
      let text = ''
      for await (const chunk of response) text += String(chunk)
      return { status: response.statusCode ?? 0, text }
    } catch (error) {
      throw error instanceof NoAnswer ? error : new NoAnswer(this.name, wordsOf(error), true, { cause: error })
    } finally {
      clearTimeout(late)
    }
  }

  /** Posts a body and yields the lines of an answer that does not end, on a connection of its own. @throws NoAnswer */
  async *lines(path: string, body: string, headers: Headers, signal: AbortSignal): AsyncGenerator<string, void> {
    const { request, begun } = this.#begin(path, body, headers, false)
    request.on('socket', socket => { socket.setKeepAlive(true, PROBE_AFTER) })
    const late = setTimeout(() => request.destroy(new Error(`no answer in ${this.#patience} ms`)), this.#patience)
    const stop = (): void => { request.destroy() }
    signal.addEventListener('abort', stop)
    try {
      const response = await begun
      clearTimeout(late)
      response.setEncoding('utf8')
      let rest = ''
      for await (const chunk of response) {
        const lines = (rest + String(chunk)).split('\n')
        rest = lines.pop()!
        for (const line of lines) if (line !== '') yield line
      }
    } catch (error) {
      if (!signal.aborted) throw error instanceof NoAnswer ? error : new NoAnswer(this.name, wordsOf(error), true)
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
      stop()
    }
  }

  close(): void { this.#agent.destroy() }
}
