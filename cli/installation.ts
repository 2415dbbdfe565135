// The plugins in a directory such as /opt/cni/bin: one executable, and a link beside it for each plugin's name. What is
// not proven ours is never touched: a link is ours when it says `fairlead`, the executable when such a link leads to it
// or when it equals the one at hand.
import { CniError } from '#cni/errors.ts'
import { close, listDirectory, makeDirectory, open, removeFile, status } from '#sys/file.ts'
import { lock } from '#sys/libc.ts'
import {
  areEqual, areSame, entry, keep, linkTarget, placeExecutable, placeLink, removeLeftovers, restore, settleDirectory,
} from './placement.ts'

const EXECUTABLE = 'fairlead'
const KEPT = '.orig'

const refusal = (message: string, details: string): CniError => new CniError('ioFailure', message, details)

/** One directory with plugins. Only one process at a time changes it. */
export class Installation {
  readonly #directory: string
  constructor(directory: string) { this.#directory = directory }

  /**
   * Puts executable and links in place, each in one step; a plugin that runs is not disturbed. Before the first change
   * everything that could refuse has been looked at.
   * @param source the executable
   * @param replace foreign files under our names are kept as NAME.orig instead of refused
   * @throws CniError that names what is in the way
   */
  install(source: string, plugins: readonly string[], replace: boolean): void {
    if (!status(source)?.isFile) throw refusal(`${source} is no file`, 'name the fairlead executable with --from')
    makeDirectory(this.#directory)
    this.#locked(() => {
      const foreign = this.#foreign(source, plugins)
      if (foreign.length > 0 && !replace) {
        const message = `${this.#directory} has ${foreign.join(', ')} of other software`
        throw refusal(message, '--replace keeps each as NAME.orig')
      }
      for (const name of foreign) this.#admitKeeping(name)
      for (const name of foreign) this.#keep(name)
      if (!areSame(source, this.#at(EXECUTABLE))) placeExecutable(source, this.#directory, EXECUTABLE)
      for (const name of plugins) if (!this.#isOurLink(name)) placeLink(EXECUTABLE, this.#directory, name)
      settleDirectory(this.#directory)
    })
  }

  /**
   * Takes links and executable away, or puts back what `install` had kept.
   * @param running the running executable: it proves that a copy of it is ours when the links are gone already
   * @returns the names of what was removed, and of what was put back
   */
  uninstall(running: string): { readonly removed: readonly string[]; readonly restored: readonly string[] } {
    const removed: string[] = []
    const restored: string[] = []
    const take = (name: string): void => {
      if (entry(this.#at(name + KEPT)) !== undefined) {
        restore(this.#at(name + KEPT), this.#at(name))
        restored.push(name)
      } else {
        removeFile(this.#at(name))
        removed.push(name)
      }
    }
    if (status(this.#directory) === undefined) return { removed, restored }
    this.#locked(() => {
      const links = this.#ourLinks()
      const isOurs = this.#isOurExecutable(running)
      for (const name of links) take(name)
      if (isOurs) take(EXECUTABLE) // last, so that no link leads nowhere
      settleDirectory(this.#directory)
    })
    return { removed, restored }
  }

  #at(name: string): string { return `${this.#directory}/${name}` }

  #locked(step: () => void): void {
    const fd = open(this.#directory)
    try {
      lock(fd, 'exclusive')
      removeLeftovers(this.#directory)
      step()
    } finally {
      close(fd)
    }
  }

  #isOurLink(name: string): boolean { return linkTarget(this.#at(name)) === EXECUTABLE }

  #ourLinks(): string[] { return listDirectory(this.#directory).filter(name => this.#isOurLink(name)) }

  #isOurExecutable(known: string): boolean {
    const path = this.#at(EXECUTABLE)
    return entry(path)?.isFile() === true && (this.#ourLinks().length > 0 || areEqual(known, path))
  }

  #foreign(source: string, plugins: readonly string[]): string[] {
    const names = plugins.filter(name => entry(this.#at(name)) !== undefined && !this.#isOurLink(name))
    const isForeign = entry(this.#at(EXECUTABLE)) !== undefined && !this.#isOurExecutable(source)
    return isForeign ? [EXECUTABLE, ...names] : names
  }

  /** The file stays under its name until ours is put over it. One that an interrupted run has kept is kept already. */
  #keep(name: string): void {
    const path = this.#at(name)
    if (entry(path + KEPT) === undefined) keep(path, path + KEPT)
  }

  /** @throws CniError when a foreign file cannot be kept under its other name */
  #admitKeeping(name: string): void {
    const path = this.#at(name)
    if (entry(path)?.isDirectory()) throw refusal(`${path} is a directory`, 'move it away')
    if (entry(path + KEPT) !== undefined && !areSame(path, path + KEPT)) {
      throw refusal(`${path} cannot be kept: ${name}${KEPT} is there already`, 'move one of them away')
    }
  }
}
