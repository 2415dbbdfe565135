// Why a host cannot have what it asks for. The store works; asking again at once does not help.

/**
 * - `no-cluster`: the store is empty; somebody has to make a network first.
 * - `foreign-cluster`: the store belongs to other hosts than the ones this host knows.
 * - `host-taken`: another machine that is alive has this host's name.
 * - `removed`: this host was removed from the cluster: join again.
 * - `unsettled`: the store has lost its content; old owners come first, wait.
 * - `no-network`: there is no network of that name.
 * - `taken`: the address, the VNI or the name is somebody else's.
 * - `exhausted`: every block has an owner.
 * - `alive`: the host to be removed is running.
 * - `unsupported`: this host's kernel lacks what the network needs.
 * - `invalid`: the configuration cannot mean anything.
 */
export type Obstacle = 'no-cluster' | 'foreign-cluster' | 'host-taken' | 'removed' | 'unsettled' | 'no-network'
  | 'taken' | 'exhausted' | 'alive' | 'unsupported' | 'invalid'

/** `message` says what is wrong in one line, `advice` what to do. */
export class OverlayError extends Error {
  override readonly name = 'OverlayError'
  readonly obstacle: Obstacle
  readonly advice: string
  constructor(obstacle: Obstacle, message: string, advice = '') {
    super(message)
    this.obstacle = obstacle
    this.advice = advice
  }
}

/** The store was wiped or restored, and what it does not know of may have an owner all the same. */
export class Unsettled extends OverlayError {
  constructor() {
    super('unsettled', 'the store has lost what it knew: former owners of addresses come first', 'wait a minute')
  }
}

/** Often the store is another one than was meant. */
export class NoNetwork extends OverlayError {
  constructor(store: string, network: string) {
    super('no-network', `there is no network ${network} in ${store}`,
      'see `fairlead overlay list`; --store and --config name another store')
  }
}
