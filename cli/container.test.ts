import { test } from 'tap'
import { containerIdOf, netnsPath } from './container.ts'

test('the container id is cnitool\'s', async t => {
  t.equal(containerIdOf('/run/netns/a'), 'cnitool-a145bc1ace582bff43bd', 'as cnitool 1.3.0 made it')
})

test('the path of a namespace', async t => {
  const never = (): boolean => false
  t.equal(netnsPath('/var/run/netns/../x/', '/tmp', never), '/var/run/x', 'cleaned, links kept')
  t.equal(netnsPath('a/b', '/tmp', never), '/tmp/a/b')
  t.equal(netnsPath('etc', '/', never), '/etc', 'what is there, is meant')
  t.equal(netnsPath('no-such-name', '/', never), '/no-such-name')
  t.equal(netnsPath('no-such-name', '/', path => path === '/run/netns/no-such-name'), '/run/netns/no-such-name',
    'gone, but still attached')
})
