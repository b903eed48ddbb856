// Fields, aliases, interfaces, unions and leaves.

import { cases } from "../cases.mjs";

export default cases(
  "{ dog { name } }",
  "{ dog { name nickname barkVolume weight size } }",
  "{ dog { nickname name } cat { name } }",
  "{ cat { name } dog { nickname name } }",
  "{ first: dog { called: name } second: dog { name } }",
  "{ name: dog { dog: name } dog { name: nickname nickname: name } }",
  "query { nobody { name } human { id name pets { name } } }",
  "query Named { human { pets { name ... on Dog { barkVolume } ... on Cat { meowVolume } } } }",
  "{ dog { __typename } cat { __typename } __typename }",
  "{ pet { __typename name nickname } cat: pet(name: \"cat\") { __typename name nickname } }",
  "{ pet(name: \"fish\") { name } }",
  "{ being(human: true) { __typename id name } }",
  "{ being(human: false) { __typename id ... on Dog { size } ... on Human { pets { __typename } } } }",
  "{ catOrDog { __typename ... on Cat { name meowVolume } ... on Dog { name barkVolume } } }",
  "{ catOrDog { ... on Pet { name nickname } } }",
  "{ humanOrCat { ... on Being { id } ... on Pet { nickname } __typename } }",
  "{ dog { friends { name __typename } owner { pets { name } } } }",
  "{ dog { owner { id } owner { name } owner { pets { name } pets { nickname } } } }",
  "{ dog { name name name } dog { name } dog { nickname } }",
  "{ human { animals { name } } }",
  "{dog{name,},,}",
  "\uFEFF{ dog { name } } # with a byte order mark, and a comment",
  "{ dog { name # comment } } { \n } }",
  'query Ünnamed { dog { name } }',

  // The validation rule FieldsOnCorrectType.
  "{ dog { meowVolume } }",
  "{ dog { barkVolume kawVolume } }",
  "{ pet { barkVolume } }",
  "{ catOrDog { name } }",
  "{ catOrDog { __typename name } }",
  "{ unicorn }",
  "{ dog { owner { shoeSize } } unicorn { name } }",
  "{ being(human: true) { nickname } }",
  "{ pet { ... on Dog { barkVolume meowVolume } } }",
  "query { count }",

  // The validation rule ScalarLeafs.
  "{ dog }",
  "{ dog { name { length } } }",
  "{ human { pets } }",
  "{ catOrDog }",
  "{ int(value: 1) { value } }",
  "{ dog { owner } }",
  "{ dog { } }",
  "{ }",
);
