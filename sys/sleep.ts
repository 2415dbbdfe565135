// Waiting, without an event loop.

const never = new Int32Array(new SharedArrayBuffer(4))

/** Stops the thread for some milliseconds. */
export const sleep = (milliseconds: number): void => { Atomics.wait(never, 0, 0, milliseconds) }
