// resolv.conf(5) as the reference reads it for the result's dns.
import { invalidConfig } from '#cni/errors.ts'
import type { Dns } from '#cni/result.ts'
import { readText } from '#sys/file.ts'

const filled = (list: readonly string[]): readonly string[] | undefined => list.length > 0 ? list : undefined

/** The dns of a result from the text of a resolv.conf. Lines that begin with `#` or `;` are comments. */
export const parseResolvConf = (text: string): Dns => {
  const lines = text.split('\n').map(line => line.trim().split(/\s+/)).filter(([word]) => !/^[#;]/.test(word!))
  const values = (keyword: string): string[][] => lines.filter(([word]) => word === keyword).map(([, ...rest]) => rest)
  const dns = {
    nameservers: filled(values('nameserver').flatMap(([first]) => first ?? [])),
    domain: values('domain').flatMap(([first]) => first ?? []).at(-1),
    search: filled(values('search').flat()),
    options: filled(values('options').flat()),
  }
  return Object.fromEntries(Object.entries(dns).filter(([, value]) => value !== undefined))
}

/** The dns of the file at `ipam.resolvConf`, none without that key. @throws CniError 7 when there is no such file */
export const readDns = (path: string | undefined): Dns => {
  if (path === undefined) return {}
  const text = readText(path)
  if (text === undefined) throw invalidConfig(`ipam.resolvConf ${path} does not exist`, 'correct or remove the key')
  return parseResolvConf(text)
}
