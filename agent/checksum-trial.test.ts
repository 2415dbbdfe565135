// What a trial concludes from what gets lost.
import { test } from 'tap'
import { ChecksumTrial, type Outcome, type Target } from './checksum-trial.ts'

interface World {
  /** Whether a datagram comes back from a host; `isOffloaded`: its checksum was left to the card. */
  readonly arrives: (host: string, address: string, isOffloaded: boolean) => boolean
  readonly connects?: (host: string, isOffloaded: boolean) => boolean
  readonly hosts?: readonly (readonly string[])[]
}

const targetsOf = (hosts: readonly (readonly string[])[]): Target[] =>
  hosts.map((addresses, i) => ({ host: `h${i + 1}`, token: `token ${i + 1}`, addresses }))

/** Carries a trial out. Answers come in the turn after the questions. */
const carriedOut = ({ arrives, connects = () => true, hosts = [['10.0.1.0']] }: World, turns = 200) => {
  const switched: boolean[] = []
  const counts = { asked: 0, knocks: 0 }
  let isOn = true
  let answers: (() => void)[] = []
  const targets = targetsOf(hosts)
  const trial = new ChecksumTrial(targets, {
    ask({ host }, address, nonce, hasChecksum) {
      counts.asked++
      if (arrives(host, address, hasChecksum && isOn)) answers.push(() => trial.hear(address, nonce, hasChecksum))
    },
    knock(address) {
      counts.knocks++
      const { host } = targets.find(({ addresses }) => addresses.includes(address))!
      return { isAnswered: connects(host, isOn), [Symbol.dispose]: () => { counts.knocks-- } }
    },
    setOffload(on) {
      isOn = on
      switched.push(on)
    },
  })
  let outcome: Outcome | undefined
  for (let i = 0; i < turns && outcome === undefined; i++) {
    const now = answers
    answers = []
    for (const answer of now) answer()
    outcome = trial.step()
  }
  trial[Symbol.dispose]()
  return { outcome, switched, ...counts }
}

void test('sound, dead and broken', async t => {
  t.match(carriedOut({ arrives: () => true }), { outcome: { kind: 'sound' }, switched: [], asked: 3, knocks: 0 })
  t.match(carriedOut({ arrives: () => false }), { outcome: { kind: 'silent' }, switched: [], asked: 9, knocks: 0 })
  const broken = (_host: string, _address: string, isOffloaded: boolean) => !isOffloaded
  t.match(carriedOut({ arrives: broken }), { outcome: { kind: 'broken', host: 'h1' }, switched: [false], knocks: 0 })
  t.match(carriedOut({ arrives: () => true, connects: (_, isOffloaded) => !isOffloaded }),
    { outcome: { kind: 'broken', host: 'h1' }, switched: [false] }, 'TCP alone')
  t.match(carriedOut({ arrives: () => true, connects: () => false }),
    { outcome: { kind: 'silent' }, switched: [false, true] }, 'TCP is filtered: put back')
})

void test('several hosts', async t => {
  const hosts = [['10.0.1.0'], ['10.0.2.0'], ['10.0.3.0']]
  t.match(carriedOut({ hosts, arrives: host => host === 'h2' }), { outcome: { kind: 'sound' }, switched: [] })
  t.match(carriedOut({ hosts, arrives: (host, _, isOffloaded) => host !== 'h1' && (host !== 'h3' || !isOffloaded) }),
    { outcome: { kind: 'broken', host: 'h3' }, switched: [false] }, 'on one of the ways')
})

void test('which address a host answers on is found out', async t => {
  const hosts = [['10.0.1.0', '10.0.9.0', '10.0.5.0']]
  const at = (address: string): boolean => address === '10.0.9.0'
  t.match(carriedOut({ hosts, arrives: (_, address) => at(address) }), { outcome: { kind: 'sound' }, switched: [] })
  t.match(carriedOut({ hosts, arrives: (_, address, isOffloaded) => at(address) && !isOffloaded }),
    { outcome: { kind: 'broken', host: 'h1' } })
})

void test('losses', async t => {
  const mostly = () => Math.random() < 0.9
  for (let i = 0; i < 200; i++) {
    const { outcome, switched } = carriedOut({ arrives: mostly, connects: mostly })
    t.equal(switched.at(-1) ?? true, outcome?.kind !== 'broken', `it stays off for a proof only: ${outcome?.kind}`)
  }
  t.match(carriedOut({ arrives: (_, __, isOffloaded) => !isOffloaded }, 16),
    { outcome: undefined, switched: [false, true] }, 'given up in the middle: put back')
})

void test('answers that are none', async t => {
  const asked: string[] = []
  const trial = new ChecksumTrial(targetsOf([['10.0.1.0']]), {
    ask(_target, _address, nonce) { asked.push(nonce) },
    knock: () => undefined,
    setOffload: () => { t.fail('nothing is proved') },
  })
  for (let i = 0; i < 10; i++) {
    trial.step()
    for (const hasChecksum of [true, false]) {
      trial.hear('10.0.1.7', asked[0]!, hasChecksum)
      trial.hear('10.0.1.0', '0000000000000000', hasChecksum)
    }
  }
  t.equal(trial.tokenOf(asked[0]!), 'token 1')
  t.equal(trial.tokenOf('0000000000000000'), undefined)
  t.match(asked, { length: 3 })
})
