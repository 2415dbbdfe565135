// What a conformance case is: data, and one function that judges.

import type { Feature } from './features.ts'
import type { World } from './world.ts'

export const levels = ['MUST', 'SHOULD', 'DEF', 'CONV', 'QUAL'] as const
export type Level = (typeof levels)[number]

/** How much of the list is asked for: the specification, what real runtimes rely on besides, or our own bar too. */
export const strictness: Readonly<Record<string, readonly Level[]>> = {
  spec: ['MUST', 'SHOULD'],
  defacto: ['MUST', 'SHOULD', 'DEF', 'CONV'],
  strict: levels,
}

/** Groups of plugins that a case can name instead of plugins; a plugin's profile says which it belongs to. */
export const groups = ['interface', 'loopback', 'chained', 'ipam', 'delegating', 'non-delegating', 'parser'] as const
export type Group = (typeof groups)[number]

/**
 * `profile`: a valid configuration of the plugin is known. `attach`: ADD can succeed here as well, that is, the kernel
 * has what the profile asks for.
 */
export type Need = 'profile' | 'attach' | Feature

export interface Case {
  /** Area letter and number; never reused for something else. */
  readonly id: string
  readonly level: Level
  /** `ALL`, groups or names of plugins; the case runs once for each plugin that one of them matches. */
  readonly applies: readonly string[]
  readonly title: string
  /** The plugin has to advertise this spec version. */
  readonly since?: string
  /** The plugin must not advertise a version newer than this. */
  readonly until?: string
  readonly needs?: readonly Need[]
  /** Throws when the plugin fails; throws `Skip` when the case says nothing about this plugin. */
  run(world: World): void | Promise<void>
}

/** Thrown when a case cannot be judged; the message says why. */
export class Skip extends Error {
  override readonly name = 'Skip'
}
