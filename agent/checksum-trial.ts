// Whether packets with checksums get from this host to some others. What is silent proves nothing; only a host that
// answers questions without a checksum and does not get the same question with one does, three times in a row, and only
// if it gets it once this host computes the checksum itself.
import { readRandom } from '#sys/file.ts'

/** A host that is asked. One of its addresses is the one that it answers on. */
export interface Target { readonly host: string; readonly token: string; readonly addresses: readonly string[] }

/** What a trial works with. */
export interface Means {
  /** Sends a question, which may get lost; questions to one address overtake each other as little as packets do. */
  ask(target: Target, address: string, nonce: string, hasChecksum: boolean): void
  /** Knocks at a TCP port; undefined when an answer would say nothing. */
  knock(address: string): { readonly isAnswered: boolean; [Symbol.dispose](): void } | undefined
  /** Has the tunnel leave checksums to the network card, or not. */
  setOffload(on: boolean): void
}

/** `silent`: nobody answers, or what is lost is lost for another reason. `broken`: on the way to `host`. */
export type Outcome = { readonly kind: 'sound' | 'silent' } | { readonly kind: 'broken'; readonly host: string }

/**
 * How many turns a round has for a datagram that should be there already, and for everything: TCP asks again after a
 * second.
 */
const [LATE, LAST] = [4, 10]
/** How many rounds in a row have to say the same. */
const PROOFS = 3

class Subject {
  readonly target: Target
  addresses: readonly string[]
  nonce = ''
  readonly heard = { with: false, without: false }
  strikes = 0
  misses = 0
  isSound = false
  #knock: ReturnType<Means['knock']>

  constructor(target: Target) {
    this.target = target
    this.addresses = target.addresses
  }

  get isJudged(): boolean { return this.isSound || this.strikes === PROOFS || this.misses === PROOFS }

  ask(means: Means): void {
    this.nonce = Buffer.from(readRandom(8)).toString('hex')
    this.heard.with = this.heard.without = false
    const [only = '', ...more] = this.addresses
    this.#knock = more.length === 0 ? means.knock(only) : undefined
    // The one without goes last: when its answer is there, that to the others would be. Twice with: losses happen.
    for (const address of this.addresses)
      for (const hasChecksum of [true, true, false]) means.ask(this.target, address, this.nonce, hasChecksum)
  }

  /** Whether everything has come back. */
  get isComplete(): boolean { return this.heard.with && this.heard.without && (this.#knock?.isAnswered ?? true) }

  /** What a round has shown. @param wasNarrow whether it was known which address answers */
  judge(wasNarrow: boolean): void {
    const { with: complete, without: plain } = this.heard
    const knocked = this.#knock?.isAnswered ?? true
    this.close()
    if (!plain && !complete) this.misses++
    else if (!wasNarrow) return
    else if (complete && knocked) this.isSound = true
    else if (plain) this.strikes++
  }

  close(): void {
    this.#knock?.[Symbol.dispose]()
    this.#knock = undefined
  }
}

/** Goes in turns, which are as long as answers may take; the caller says when. */
export class ChecksumTrial implements Disposable {
  readonly #means: Means
  #subjects: readonly Subject[]
  #wide = new Set<Subject>()
  #turn = 0
  #isOffloaded = true

  constructor(targets: readonly Target[], means: Means) {
    this.#means = means
    this.#subjects = targets.map(target => new Subject(target))
  }

  /** The token of whoever was asked with a nonce, undefined when nobody was. */
  tokenOf(nonce: string): string | undefined { return this.#subjects.find(one => one.nonce === nonce)?.target.token }

  /** An answer. @param address where it comes from */
  hear(address: string, nonce: string, hasChecksum: boolean): void {
    const subject = this.#subjects.find(one => one.nonce === nonce)
    if (subject?.addresses.includes(address) !== true) return
    subject.addresses = [address]
    subject.heard[hasChecksum ? 'with' : 'without'] = true
  }

  /** The next turn. @returns the outcome, once there is one */
  step(): Outcome | undefined {
    const open = this.#subjects.filter(({ isJudged }) => !isJudged)
    if (this.#turn++ === 0) {
      this.#wide = new Set(open.filter(({ addresses }) => addresses.length > 1))
      for (const subject of open) subject.ask(this.#means)
      return undefined
    }
    const isOver = open.every(({ isComplete, heard }) =>
      isComplete || this.#turn > LATE && heard.without && !heard.with)
    if (!isOver && this.#turn <= LAST) return undefined
    for (const subject of open) subject.judge(!this.#wide.has(subject))
    this.#turn = 0
    return this.#isOffloaded ? this.#judgeOffloaded() : this.#judgeComputed()
  }

  /** Given up: what was changed for it is put back. */
  [Symbol.dispose](): void {
    for (const subject of this.#subjects) subject.close()
    if (!this.#isOffloaded) this.#means.setOffload(true)
  }

  #judgeOffloaded(): Outcome | undefined {
    const suspect = this.#subjects.filter(({ strikes }) => strikes === PROOFS)
    if (suspect.length > 0) {
      this.#means.setOffload(false)
      this.#isOffloaded = false
      this.#subjects = suspect.map(({ target, addresses }) => new Subject({ ...target, addresses }))
      return undefined
    }
    if (!this.#subjects.every(({ isJudged }) => isJudged)) return undefined
    return { kind: this.#subjects.some(({ isSound }) => isSound) ? 'sound' : 'silent' }
  }

  #judgeComputed(): Outcome | undefined {
    const proof = this.#subjects.find(({ isSound }) => isSound)
    if (proof !== undefined) {
      this.#isOffloaded = true // from here on it is the caller's
      return { kind: 'broken', host: proof.target.host }
    }
    return this.#subjects.every(({ isJudged }) => isJudged) ? { kind: 'silent' } : undefined
  }
}
