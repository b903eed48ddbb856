// Variables: their declarations, their values, and how values are coerced.

import { cases } from "../cases.mjs";

export default cases(
  [
    "query ($v: Int) { int(value: $v) }",
    ...[{}, { v: null }, { v: 1 }, { v: -1 }, { v: 0 }, { v: 2147483647 }, { v: 2147483648 }, { v: 1.5 }, { v: 1e20 }],
    ...[{ v: "1" }, { v: "" }, { v: true }, { v: [1] }, { v: [] }, { v: {} }, { w: 1 }, { v: 1, extra: "ignored" }],
  ],
  ["query ($v: Int!) { intRequired(value: $v) }", {}, { v: null }, { v: 1 }, { v: "1" }],
  ["query ($v: Int = 5) { int(value: $v) intDefault(value: $v) }", {}, { v: null }, { v: 1 }],
  ["query ($v: Int! = 5) { intRequired(value: $v) }", {}, { v: null }, { v: 1 }],
  ["query ($v: Int) { intDefault(value: $v) }", {}, { v: null }, { v: 1 }],
  ["query ($v: Int) { intRequiredDefault(value: $v) }", {}, { v: 1 }, { v: null }],
  ["query ($v: Int = 3) { intRequired(value: $v) }", {}, { v: 1 }, { v: null }],
  ["query ($v: Float) { float(value: $v) }", { v: 1 }, { v: 1.5 }, { v: 1e300 }, { v: "1.5" }, { v: true }, { v: null }, {}],
  ["query ($v: String) { string(value: $v) }", { v: "" }, { v: "ü🦀" }, { v: 1 }, { v: true }, { v: ["a"] }, { v: null }],
  ["query ($v: Boolean) { boolean(value: $v) }", { v: true }, { v: false }, { v: 0 }, { v: "true" }, { v: null }],
  ["query ($v: ID) { id(value: $v) }", { v: "a" }, { v: 1 }, { v: 9007199254740991 }, { v: 1.5 }, { v: true }, { v: null }],
  ["query ($v: Day) { day(value: $v) }", { v: "2026-11-24" }, { v: "x" }, { v: 1 }, { v: null }, {}],
  ["query ($v: Color) { color(value: $v) }", { v: "RED" }, { v: "PURPLE" }, { v: "red" }, { v: 0 }, { v: null }, {}],
  ["query ($v: Color = BLUE) { colorDefault(value: $v) }", {}, { v: "RED" }, { v: null }],
  [
    "query ($v: [Int]) { ints(value: $v) }",
    ...[{ v: [1, null] }, { v: 5 }, { v: [] }, { v: null }, {}, { v: "1" }, { v: [1, "2"] }, { v: [[1]] }],
  ],
  ["query ($v: [Int!]!) { intsStrict(value: $v) }", { v: [1] }, { v: 5 }, { v: [null] }, { v: null }, {}, { v: [1, 1.5] }],
  ["query ($v: [Int!]) { intsOfRequired(value: $v) ints(value: $v) }", { v: [1] }, { v: null }, {}],
  ["query ($v: [[Int]]) { matrix(value: $v) }", { v: [[1], null] }, { v: 1 }, { v: [1, 2] }, { v: [["a"]] }],
  ["query ($v: Int) { ints(value: [1, $v]) }", {}, { v: null }, { v: 2 }],
  ["query ($v: Int!) { intsStrict(value: [1, $v]) }", { v: 2 }, {}],
  ["query ($v: Int) { ints(value: $v) }", { v: 3 }],
  ["query ($v: [Int!]! = [4]) { intsStrict(value: $v) }", {}, { v: [1] }, { v: null }],
  [
    "query ($v: PointInput) { point(value: $v) }",
    ...[{ v: { x: 1 } }, { v: {} }, { v: null }, {}, { v: { x: null } }, { v: { x: "1" } }, { v: { x: 1, z: 1 } }],
    ...[{ v: { x: 1, y: null } }, { v: { x: 1, label: null, color: null } }, { v: { x: 1, tags: "t", id: 4 } }],
    ...[{ v: { x: 1, tags: [1] } }, { v: { x: 1, color: "PURPLE" } }, { v: { x: 1, color: "GREEN", scale: 3 } }],
    ...[{ v: { x: 1, path: { by: 1 } } }, { v: { x: 1, path: [{}] } }, { v: { x: 1, day: "x" } }, { v: [] }, { v: "p" }],
    ...[{ v: { scale: 0.5, y: 3, x: 1 } }, { v: [{ x: 1 }] }],
  ],
  ["query ($v: PointInput = { x: 9, tags: [\"d\"] }) { point(value: $v) }", {}, { v: { x: 1 } }, { v: null }],
  ["query ($v: [PointInput!]!) { points(value: $v) }", { v: [{ x: 1 }, { x: 2 }] }, { v: { x: 1 } }, { v: [{ x: 1 }, {}] }],
  ["query ($x: Int!, $y: Int! = 4) { point(value: { x: $x, y: $y }) }", { x: 1 }, { x: 1, y: 2 }, { y: 2 }],
  ["query ($x: Int!, $l: String) { point(value: { x: $x, label: $l }) }", { x: 1 }, { x: 1, l: null }, { x: 1, l: "l" }],
  ["query ($y: Int) { point(value: { x: 1, y: $y }) }", {}, { y: 2 }, { y: null }],
  ["query ($a: Int!, $b: String, $c: Boolean) { several(a: $a, b: $b) }", { a: 1, b: "b" }],
  ["query ($a: Int!, $b: String) { several(a: $a, b: $b) }", { a: 1 }, { a: 1, b: null }, { a: 1, b: "b" }],
  ["query ($on: Boolean!) { dog { name @include(if: $on) nickname @skip(if: $on) } }", { on: true }, { on: false }, {}],
  ["query ($on: Boolean = true) { dog { name @include(if: $on) barkVolume } }", {}, { on: false }],
  ["query Q($v: ID!) { ...F } fragment F on Query { human(id: $v) { id } }", { v: "human" }, { v: "x" }, {}],
  ["query ($v: Boolean) { dog { isHouseTrained(atOtherHomes: $v) } }", {}, { v: true }, { v: null }],
  ["query ($constructor: Int, $toString: Int) { a: int(value: $constructor) b: int(value: $toString) }", {}, { toString: 1 }],

  // The validation rule UniqueVariableNames.
  ["query ($v: Int, $v: Int) { int(value: $v) }", { v: 1 }],
  ["query ($v: Int, $v: String) { int(value: $v) }", { v: 1 }],

  // The validation rules VariablesAreInputTypes and KnownTypeNames.
  ["query ($v: Dog) { int(value: $v) }", {}],
  ["query ($v: [Pet!]) { int(value: $v) }", {}],
  ["query ($v: CatOrDog) { dog { name } }", {}],
  ["query ($v: Unknown) { int(value: $v) }", {}],
  ["query ($v: [Unknown!]!) { ints(value: $v) }", { v: [1] }],

  // The validation rule NoUndefinedVariables.
  "{ int(value: $v) }",
  ["query Q { int(value: $v) }", { v: 1 }],
  ["query ($w: Int) { int(value: $w) ...F } fragment F on Query { intDefault(value: $v) }", { v: 1 }],
  "{ dog { name @include(if: $on) } }",
  "query A($v: Int) { ...F } query B { ...F } fragment F on Query { int(value: $v) }",
  "{ ints(value: [$v]) }",
  "{ point(value: { x: $v }) }",

  // The validation rule NoUnusedVariables.
  ["query ($v: Int) { dog { name } }", {}, { v: 1 }],
  ["query ($v: Int!, $w: Int) { int(value: $v) }", { v: 1 }],
  "query A($v: Int) { ...F } fragment F on Query { dog { name } }",

  // The validation rule VariablesInAllowedPosition.
  ["query ($v: Int) { intRequired(value: $v) }", { v: 1 }],
  ["query ($v: String) { int(value: $v) }", { v: "1" }, {}],
  ["query ($v: Int) { float(value: $v) }", { v: 1 }],
  ["query ($v: [Int]) { intsStrict(value: $v) }", { v: [1] }],
  ["query ($v: [Int]!) { intsStrict(value: $v) }", { v: [1] }],
  ["query ($v: Int!) { ints(value: $v) }", { v: 1 }],
  ["query ($v: [[Int]]) { ints(value: $v) }", { v: [[1]] }],
  ["query ($v: String) { dog { name @include(if: $v) } }", { v: "x" }],
  ["query ($v: Boolean) { dog { name @include(if: $v) } }", { v: true }],
  ["query ($v: Int) { point(value: { x: $v }) }", { v: 1 }],
  ["query ($v: String) { point(value: { x: 1, id: $v }) }", { v: "a" }],
  ["query ($v: Int) { intsStrict(value: [$v]) }", { v: 1 }],
  ["query ($v: Int) { ...F } fragment F on Query { intRequired(value: $v) }", { v: 1 }],
  ["query ($v: ID) { string(value: $v) }", { v: "1" }],

  // Default values of a wrong type.
  ["query ($v: Int = \"1\") { int(value: $v) }", {}, { v: 1 }],
  ["query ($v: Int! = null) { intRequired(value: $v) }", { v: 1 }],
  ["query ($v: PointInput = { y: 1 }) { point(value: $v) }", { v: null }],
  ["query ($v: Color = \"RED\") { color(value: $v) }", {}],
  ["query ($v: [Int] = [1, \"2\"]) { ints(value: $v) }", {}],
);
