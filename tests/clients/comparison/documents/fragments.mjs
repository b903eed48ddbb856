// Fragments, and fields that merge or conflict.

import { cases } from "../cases.mjs";

export default cases(
  "{ dog { ...F } } fragment F on Dog { name }",
  "{ dog { ...F ...F } } fragment F on Dog { name nickname }",
  "{ dog { ...F name } } fragment F on Dog { nickname name }",
  "{ dog { ...F } } fragment F on Dog { ...G barkVolume } fragment G on Pet { name }",
  "{ dog { ... { name } ... on Dog { nickname } ... on Pet { name } } }",
  "{ dog { ... on Being { id } } human { ... on Being { name } } }",
  "{ pet { ...D ...C } } fragment D on Dog { barkVolume } fragment C on Cat { meowVolume }",
  "{ ...Q } fragment Q on Query { dog { name } cat { name } }",
  "{ catOrDog { ...P } } fragment P on Pet { name ... on Dog { size } }",
  "{ human { pets { ...P } } } fragment P on Pet { name nickname ... on Dog { owner { name } } }",
  "{ b: dog { name } ...F } fragment F on Query { a: cat { name } b: dog { nickname } }",
  "{ dog { owner { ...H } ...O } } fragment H on Human { id } fragment O on Dog { owner { name } name }",

  // The validation rule UniqueFragmentNames.
  "{ dog { ...F } } fragment F on Dog { name } fragment F on Dog { nickname }",
  "{ dog { ...F } cat { ...F } } fragment F on Dog { name } fragment F on Cat { name }",

  // The validation rules KnownTypeNames and FragmentsOnCompositeTypes.
  "{ dog { ...F } } fragment F on Unicorn { name }",
  "{ dog { ... on Unicorn { name } } }",
  "{ dog { ...F } } fragment F on Int { name }",
  "{ dog { ... on Color { name } } }",
  "{ dog { ...F } } fragment F on PointInput { x }",

  // The validation rule NoUnusedFragments.
  "{ dog { name } } fragment F on Dog { name }",
  "{ dog { ...F } } fragment F on Dog { name } fragment G on Dog { ...G2 } fragment G2 on Dog { name }",

  // The validation rule KnownFragmentNames.
  "{ dog { ...Missing } }",
  "{ dog { ... on Dog { ...Missing } name } }",
  "{ dog { ...F } } fragment F on Dog { ...Missing }",

  // The validation rule NoFragmentCycles.
  "{ dog { ...F } } fragment F on Dog { ...F }",
  "{ dog { ...F } } fragment F on Dog { ...G } fragment G on Dog { ...F }",
  "{ dog { ...F } } fragment F on Dog { owner { ...H } } fragment H on Human { pets { ...F } }",
  "{ dog { name } } fragment F on Dog { ...G } fragment G on Dog { ...F }",

  // The validation rule PossibleFragmentSpreads.
  "{ dog { ... on Cat { meowVolume } } }",
  "{ dog { ...F } } fragment F on Cat { meowVolume }",
  "{ human { ... on Pet { name } } }",
  "{ catOrDog { ... on Human { name } } }",
  "{ cat { ... on Being { id } } }",
  "{ pet { ... on HumanOrCat { ... on Cat { name } } } }",
  "{ dog { ...F } } fragment F on HumanOrCat { ... on Cat { name } }",
  "{ dog { ... on CatOrDog { ... on Dog { name } ... on Cat { nickname } } } }",
  "{ being(human: true) { ... on Pet { name } } }",

  // The validation rule OverlappingFieldsCanBeMerged.
  "{ dog { name name: nickname } }",
  "{ dog { name: nickname name } }",
  "{ dog { doesKnowCommand(dogCommand: SIT) doesKnowCommand(dogCommand: HEEL) } }",
  "{ dog { doesKnowCommand(dogCommand: SIT) doesKnowCommand(dogCommand: SIT) } }",
  "{ dog { isHouseTrained isHouseTrained(atOtherHomes: true) } }",
  "{ dog { isHouseTrained(atOtherHomes: true) isHouseTrained(atOtherHomes: true) } }",
  "{ int(value: 1) int(value: 2) }",
  "{ point(value: { x: 1, y: 2 }) point(value: { y: 2, x: 1 }) }",
  "{ point(value: { x: 1 }) point(value: { x: 1, y: 0 }) }",
  "{ ints(value: [1]) ints(value: 1) }",
  "query ($a: Int, $b: Int) { int(value: $a) int(value: $b) }",
  "query ($a: Int) { int(value: $a) int(value: $a) }",
  "{ dog { ...F name: nickname } } fragment F on Dog { name }",
  "{ dog { ...F ...G } } fragment F on Dog { x: name } fragment G on Dog { x: nickname }",
  "{ x: dog { name } x: cat { name } }",
  "{ dog { owner { name } } dog { owner { name: id } } }",
  "{ dog { x: owner { name } x: owner { id } } }",
  "{ dog { owner { x: name } ...F } } fragment F on Dog { owner { x: id } }",
  "{ pet { ... on Dog { x: barkVolume } ... on Cat { x: meowVolume } } }",
  "{ pet { ... on Dog { x: barkVolume } ... on Cat { x: nickname } } }",
  "{ pet { ... on Dog { weight } ... on Cat { weight } } }",
  "{ pet { ... on Dog { size } ... on Cat { size } } }",
  "{ pet { ... on Dog { doesKnowCommand(dogCommand: SIT) } ... on Cat { doesKnowCommand(catCommand: JUMP) } } }",
  "{ catOrDog { ... on Dog { x: name } ... on Cat { x: nickname } } }",
  "{ catOrDog { ... on Dog { x: owner { name } } ... on Cat { x: owner { name } } } }",
  "{ catOrDog { ... on Dog { x: owner { y: name } } ... on Cat { x: owner { y: id } } } }",
  "{ catOrDog { ... on Dog { x: owner { name } } ... on Cat { x: name } } }",
  "{ dog { x: friends { name } x: owner { name } } }",
  "{ pet { name ... on Dog { name: nickname } } }",
  '{ a: pet(name: "dog") { name } a: pet(name: "cat") { name } }',
  '{ a: pet { name } a: pet(name: "dog") { name } }',
);
