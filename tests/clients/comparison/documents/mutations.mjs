// Mutations: each field runs once and in order, even if another field fails.

import { cases } from "../cases.mjs";

export default cases(
  'mutation { write(text: "a") { written count first } }',
  'mutation { write(text: "a") { written } write(text: "a") { count } }',
  'mutation { write(text: "a") { written } ... on Mutation { write(text: "a") { first } } }',
  'mutation { ...F write(text: "a") { count } } fragment F on Mutation { write(text: "a") { first } }',
  'mutation { a: write(text: "a") { written } b: write(text: "b") { written } }',
  'mutation { b: write(text: "b") { written } a: write(text: "a") { written } }',
  'mutation { slow: writeSlowly(text: "slow") { written } fast: write(text: "fast") { written } }',
  'mutation { a: write(text: "a") { count } b: writeSlowly(text: "b") { count } a: write(text: "a") { written } }',
  'mutation { a: write(text: "a") { count } f: fail(text: "f") { count } b: write(text: "b") { written } }',
  'mutation { f: fail(text: "f") { count } g: fail(text: "g") { count } }',
  'mutation { fail(text: "f") { count } fail(text: "f") { written } }',
  'mutation { a: write(text: "a") { written } failRequired(text: "f") { count } b: write(text: "b") { written } }',
  'mutation { failRequired(text: "f") { count } }',
  'mutation { __typename write(text: "a") { __typename } }',
  'mutation { a: write(text: "a") @skip(if: true) { count } b: write(text: "b") { written } }',
  'mutation { write(text: "a") @include(if: false) { count } write(text: "a") { written } }',
  'mutation ($on: Boolean!) { write(text: "a") @include(if: $on) { count } b: write(text: "b") { written } }',
  ["mutation ($text: String!) { write(text: $text) { written } write(text: $text) { count } }", { text: "v" }, {}],
  ["mutation ($a: String!, $b: String!) { write(text: $a) { written } write(text: $b) { count } }", { a: "v", b: "v" }],
  'mutation { write(text: "a") { written } write(text: "b") { written } }',
  'mutation { write(text: "a") { count } write(text: """a""") { written } }',
  'mutation { write { written } }',
  'mutation { dog { name } }',
  'mutation { write(text: "a") }',
);
