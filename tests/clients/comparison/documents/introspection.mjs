// Introspection of the schema. The descriptions of the built-in types are left out, because each engine has its own.

import { cases } from "../cases.mjs";

const typeRef = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
const describe = (name) => `{
  __type(name: "${name}") {
    kind name description
    fields(includeDeprecated: true) { name description isDeprecated deprecationReason type { ${typeRef} }
      args { name description defaultValue type { ${typeRef} } } }
    inputFields { name description defaultValue type { ${typeRef} } }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { name } interfaces { name } ofType { name } specifiedByURL
  }
}`;

export default cases(
  ...["Dog", "Human", "Pet", "Being", "CatOrDog", "HumanOrCat", "Color", "PointInput", "Day", "JSON", "Query"].map(describe),
  '{ __type(name: "Unicorn") { name } }',
  '{ __type(name: "Human") { fields { name } } }',
  '{ __type(name: "Color") { enumValues { name } } }',
  '{ __type(name: "Color") { enumValues(includeDeprecated: false) { name isDeprecated } } }',
  '{ __type(name: "__Type") { kind name interfaces { name } enumValues { name } } }',
  '{ __type(name: "__DirectiveLocation") { kind } }',
  '{ __type(name: "Boolean") { __typename kind name fields { name } enumValues { name } inputFields { name } } }',
  "{ __schema { queryType { name } mutationType { name } subscriptionType { name } } }",
  "{ __schema { __typename queryType { __typename kind } } }",
  "{ __schema { directives { name } } }",
  '{ a: __type(name: "Dog") { name } b: __type(name: "Cat") { name } __typename }',
  '{ dog { __typename owner { __typename } } __schema { queryType { fields { name } } } }',
  ["query ($name: String!) { __type(name: $name) { name } }", { name: "Cat" }, {}],
  '{ ...F } fragment F on Query { __type(name: "Dog") { ...G } } fragment G on __Type { name kind }',
  "{ __typename @skip(if: true) dog { name } }",
  "{ __type { name } }",
  "{ __type(name: 1) { name } }",
  '{ __type(name: "Dog") }',
  '{ __type(name: "Dog") { nam } }',
  "{ __schema }",
  "{ __unknown }",
  "{ dog { __schema { queryType { name } } } }",
  '{ dog { __type(name: "Dog") { name } } }',
  'mutation { __type(name: "Dog") { name } write(text: "x") { count } }',
);
