// Operations: their names, which one runs, and subscriptions.

import { cases } from "../cases.mjs";

const two = "query A { dog { name } } query B { cat { name } }";
const mixed = 'query Read { dog { name } } mutation Write { write(text: "x") { written } }';

export default cases(
  "query Only { dog { name } }",
  { document: "query Only { dog { name } }", operationName: "Only" },
  { document: "query Only { dog { name } }", operationName: "Other" },
  { document: "query Only { dog { name } }", operationName: "" },
  { document: "{ dog { name } }", operationName: "Missing" },
  { document: "{ cat { name } }", operationName: null },
  two,
  { document: two, operationName: "A" },
  { document: two, operationName: "B" },
  { document: two, operationName: "C" },
  { document: two, operationName: "a" },
  { document: mixed, operationName: "Read" },
  { document: mixed, operationName: "Write" },
  mixed,
  {
    document: "query A($v: Int!) { intRequired(value: $v) } query B($v: String!) { string(value: $v) }",
    operationName: "B",
    variables: { v: "text" },
  },
  "fragment F on Dog { name }",
  "fragment F on Dog { name } fragment G on Dog { ...F }",

  // The validation rule LoneAnonymousOperation.
  "{ dog { name } } query Named { cat { name } }",
  "{ dog { name } } { cat { name } }",
  { document: "query Named { cat { name } } { dog { name } }", operationName: "Named" },
  'query { dog { name } } mutation { write(text: "x") { written } }',

  // The validation rule UniqueOperationNames.
  { document: "query A { dog { name } } query A { cat { name } }", operationName: "A" },
  { document: 'query A { dog { name } } mutation A { write(text: "x") { written } }', operationName: "A" },
  { document: "query A { dog { name } } query A { dog { name } } query B { cat { name } }", operationName: "B" },

  // The validation rule SingleFieldSubscriptions. These cases compare only refusals, because the reference server sends
  // no events.
  "subscription { names count(to: 1) }",
  "subscription { ...F } fragment F on Events { names count(to: 1) }",
  "subscription { __typename }",
  "subscription { names ... on Events { count(to: 2) } }",
  "subscription { a: names b: names }",
  "subscription { unicorn }",
  "subscription { names { length } }",
);
