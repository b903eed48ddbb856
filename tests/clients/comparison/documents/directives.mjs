// Directives: `skip`, `include` and unknown directives.

import { cases } from "../cases.mjs";

export default cases(
  "{ dog { name @include(if: true) nickname @include(if: false) } }",
  "{ dog { name @skip(if: true) nickname @skip(if: false) } }",
  "{ dog { name @skip(if: false) @include(if: true) } }",
  "{ dog { name @skip(if: true) @include(if: true) nickname } }",
  "{ dog { name @skip(if: false) @include(if: false) nickname } }",
  "{ dog { name @skip(if: true) name } }",
  "{ dog @skip(if: true) { name } }",
  "{ dog @include(if: true) { name } cat @include(if: false) { name } }",
  "{ dog { ... @include(if: false) { name } nickname } }",
  "{ dog { ... on Dog @skip(if: true) { name } nickname } }",
  "{ dog { ...F @include(if: false) ...F @include(if: true) } } fragment F on Dog { name }",
  "{ dog { ...F @skip(if: true) nickname } } fragment F on Dog { name }",
  "{ dog { name @skip(if: true) } }",
  "{ intRequired(value: 1) @skip(if: true) }",
  '{ pet { name ... on Dog @include(if: true) { barkVolume @skip(if: false) } } }',
  [
    "query ($a: Boolean!, $b: Boolean!) { dog { name @include(if: $a) @skip(if: $b) nickname } }",
    ...[{ a: true, b: false }, { a: true, b: true }, { a: false, b: false }, { a: true }],
  ],

  // The validation rule KnownDirectives.
  "{ dog { name @unknown } }",
  "{ dog @unknown(if: true) { name @includes(if: true) } }",
  "query @skip(if: true) { dog { name } }",
  "query @include(if: true) { dog { name } }",
  "{ dog { ...F } } fragment F on Dog @include(if: true) { name }",
  "query ($v: Int @skip(if: true)) { int(value: $v) }",
  "{ dog { name @deprecated } }",
  "query @unknown { dog { name } }",

  // The validation rule UniqueDirectivesPerLocation.
  "{ dog { name @skip(if: false) @skip(if: false) } }",
  "{ dog { ... @include(if: true) @include(if: false) { name } } }",

  // The arguments of directives.
  "{ dog { name @skip } }",
  "{ dog { name @include } }",
  '{ dog { name @include(if: "true") } }',
  "{ dog { name @include(if: null) } }",
  "{ dog { name @skip(if: 1) } }",
  "{ dog { name @skip(unless: true) } }",
);
