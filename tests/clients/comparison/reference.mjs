// The schema of `tests/src/bin/reference-server`, with the same resolvers for graphql-js.

import { GraphQLError, buildSchema } from "graphql";

/** Returns an executable schema of graphql-js for the SDL that the Rust server serves. */
export function referenceSchema(sdl) {
  const schema = buildSchema(sdl);
  Object.assign(schema.getType("Day"), day);
  for (const [type, fields] of Object.entries(resolvers)) {
    const definitions = schema.getType(type).getFields();
    for (const [field, resolve] of Object.entries(fields)) {
      definitions[field].resolve = resolve;
    }
  }
  for (const field of Object.values(schema.getQueryType().getFields())) {
    // These fields return their arguments after coercion. An argument that was not given is missing.
    if (String(field.type) === "JSON!") field.resolve = (_, args) => args;
  }
  for (const name of ["Pet", "Being", "CatOrDog", "HumanOrCat"]) {
    schema.getType(name).resolveType = (value) => value.type;
  }
  return schema;
}

/** Returns the context of a request. It records what the mutations have written. */
export const newContext = () => ({ written: [] });

function parseDay(value) {
  if (typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value)) return value;
  throw new GraphQLError(`${JSON.stringify(value)} is not a day`);
}

const day = {
  serialize: parseDay,
  parseValue: parseDay,
  parseLiteral: (node) => parseDay(node.kind === "StringValue" ? node.value : null),
};

const human = { type: "Human" };
const dog = { type: "Dog" };
const cat = { type: "Cat" };
const faults = {};

const always = (value) => () => value;
const fails = (message) => () => {
  throw new Error(message);
};
const numbers = [1, new Error("the second number failed"), 3];
const nullableNumbers = [1, new Error("the second number failed"), null, 3];

const write = (_, { text }, context) => {
  context.written.push(text);
  return { written: [...context.written] };
};
const writeAndFail = (_, { text }, context) => {
  context.written.push(text);
  throw new Error(`${text} failed`);
};

const resolvers = {
  Query: {
    dog: always(dog),
    cat: always(cat),
    human: (_, { id }) => (id == null || id === "human" ? human : null),
    pet: (_, { name }) => ({ dog, cat })[name],
    being: (_, args) => (args.human ? human : dog),
    catOrDog: always([cat, dog]),
    humanOrCat: always(human),
    faults: always(faults),
    faultsRequired: always(faults),
  },
  Dog: {
    id: always("dog"),
    name: always("Fido"),
    barkVolume: always(11),
    weight: always(10),
    size: always("LARGE"),
    doesKnowCommand: (_, { dogCommand }) => dogCommand === "SIT",
    isHouseTrained: (_, { atOtherHomes }) => atOtherHomes !== true,
    owner: always(human),
    friends: always([cat, null, dog]),
  },
  Cat: {
    name: always("Tom"),
    nickname: always("Tommy"),
    meowVolume: always(3),
    weight: always(4.25),
    size: always("small"),
    doesKnowCommand: (_, { catCommand }) => catCommand === "JUMP",
  },
  Human: { id: always("human"), name: always("Asha"), pets: always([dog, cat]), animals: always([dog]) },
  Faults: {
    ok: always(1),
    nullable: (_, { message }) => fails(message)(),
    required: fails("required failed"),
    object: fails("object failed"),
    objectRequired: fails("objectRequired failed"),
    child: always(faults),
    childRequired: always(faults),
    children: always([faults, null, faults]),
    childrenOfRequired: always([faults, faults]),
    childrenRequired: always([faults, faults]),
    numbers: always(nullableNumbers),
    numbersOfRequired: always(numbers),
    numbersInRequired: always(nullableNumbers),
    numbersRequired: always(numbers),
    matrix: always([[0], numbers]),
  },
  Mutation: {
    write,
    writeSlowly: (...args) => new Promise((resolve) => setTimeout(() => resolve(write(...args)), 5)),
    fail: writeAndFail,
    failRequired: writeAndFail,
  },
  Page: { count: ({ written }) => written.length, first: ({ written }) => written[0] },
};
