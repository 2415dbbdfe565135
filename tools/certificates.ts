// For tests: an authority of their own and certificates that it signs, by openssl(1).
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

interface Test { teardown(step: () => unknown): unknown }

/** Paths of PEM files. */
export interface Certificate { readonly cert: string; readonly key: string }

export class Authority {
  readonly #place: string

  constructor(t: Test) {
    this.#place = mkdtempSync('/tmp/fairlead-ca-')
    t.teardown(() => { rmSync(this.#place, { recursive: true, force: true }) })
    this.#openssl('req', '-x509', ...this.#newKey('ca'), '-out', this.cert, '-days', '2', '-subj', '/CN=test authority')
  }

  /** The path of the authority's own certificate. */
  get cert(): string { return `${this.#place}/ca.crt` }

  text(path: string): string { return readFileSync(path, 'utf8') }

  /**
   * A certificate that serves on both ends of a connection.
   * @param names `IP:127.0.0.1`, `DNS:localhost`
   * @param subject of the certificate: etcd's gateway takes passwords only where it has no common name
   */
  issue(name: string, names: readonly string[] = [], subject = `/CN=${name}`): Certificate {
    const [request, cert, key, extensions] = ['csr', 'crt', 'key', 'ext'].map(kind => `${this.#place}/${name}.${kind}`)
    const alternatives = names.length > 0 ? `subjectAltName=${names.join()}\n` : ''
    writeFileSync(extensions!, `extendedKeyUsage=serverAuth,clientAuth\n${alternatives}`)
    this.#openssl('req', ...this.#newKey(name), '-out', request!, '-subj', subject)
    this.#openssl('x509', '-req', '-in', request!, '-out', cert!, '-days', '2', '-extfile', extensions!,
      '-CA', this.cert, '-CAkey', `${this.#place}/ca.key`, '-CAcreateserial')
    return { cert: cert!, key: key! }
  }

  #newKey(name: string): readonly string[] {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    return [...key, '-keyout', `${this.#place}/${name}.key`]
  }

  #openssl(...args: readonly string[]): void { execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] }) }
}
