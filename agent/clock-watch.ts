// Whether the clock that people set has been set: what was measured across that moment says nothing.

/** A clock that is disciplined, not set, drifts far less between two looks. In milliseconds. */
const MOST_DRIFT = 10_000

export class ClockWatch {
  #difference: number | undefined

  /**
   * @param wall milliseconds since the epoch
   * @param steady milliseconds of a clock that is never set
   * @returns whether `wall` was set since the last call; the first one cannot tell, and says yes
   */
  isSet(wall: number, steady: number): boolean {
    const before = this.#difference
    this.#difference = wall - steady
    return before === undefined || Math.abs(this.#difference - before) > MOST_DRIFT
  }
}
