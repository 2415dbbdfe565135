// Expected texts are what encoding/json of Go prints.
import { test } from 'tap'
import { encodeMap, encodeStruct } from './go-json.ts'

test('a map has its keys in order at every depth', async t => {
  t.equal(encodeMap({ b: 1, a: [{ d: null, c: true }] }), '{"a":[{"c":true,"d":null}],"b":1}')
})

test('a struct keeps its order and leaves undefined out', async t => {
  t.equal(encodeStruct({ kind: 'x', args: undefined, config: '' }), '{"kind":"x","config":""}')
})

test('what is special to HTML is escaped', async t => {
  t.equal(encodeMap({ a: '<&>\u2028\u2029"' }), '{"a":"\\u003c\\u0026\\u003e\\u2028\\u2029\\""}')
})

test('numbers', async t => {
  t.equal(encodeMap([1e21, 1e-7, 0.000001, 4294967295, 1.5]), '[1e+21,1e-7,0.000001,4294967295,1.5]')
})

test('indented', async t => {
  t.equal(encodeMap({ b: [], a: { c: 1 } }, 4), '{\n    "a": {\n        "c": 1\n    },\n    "b": []\n}')
})
