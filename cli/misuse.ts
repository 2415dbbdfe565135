// The command line itself makes no sense.

/** What the user is told is behind `fairlead: `; the exit status is 2. */
export class Misuse extends Error {}
