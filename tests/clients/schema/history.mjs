// Reads the versions of schema.graphql from the history of the repository, and finds changes that break clients.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { buildSchema, findBreakingChanges, isEnumType, isInputObjectType, isInterfaceType, isObjectType } from "graphql";

import { root } from "../support/server.mjs";

const git = async (...args) => (await promisify(execFile)("git", ["-C", root, ...args], { maxBuffer: 1 << 26 })).stdout;

/**
 * Returns every version of the schema on the main line, the oldest first. The last version is that of the working tree.
 * Versions inside merged branches are left out.
 * @returns {Promise<{ name: string, day: string, schema: import("graphql").GraphQLSchema }[]>} `day` is the day of the
 *   commit, like 2026-11-24
 */
export async function versions() {
  const log = await git("log", "--first-parent", "--reverse", "--format=%h %cs", "--", "schema.graphql");
  const found = [];
  for (const line of log.split("\n").filter(Boolean)) {
    const [name, day] = line.split(" ");
    found.push({ name, day, schema: buildSchema(await git("show", `${name}:schema.graphql`)) });
  }
  const current = await readFile(join(root, "schema.graphql"), "utf8");
  return [...found, { name: "working tree", day: new Date().toISOString().slice(0, 10), schema: buildSchema(current) }];
}

/**
 * Returns the changes from `before` to `after` that break clients. Removals that `before` announced do not count.
 * @returns {string[]} such as `FIELD_REMOVED: Course.code was removed.`
 */
export function breakingChanges(before, after) {
  const announced = deprecations(before.schema);
  return findBreakingChanges(before.schema, after.schema)
    .filter(({ type, description }) => {
      const from = removalDay(announced.get(coordinateOf(type, description)));
      return !(from && from <= after.day);
    })
    .map(({ type, description }) => `${type}: ${description}`);
}

/** Returns the reason of each deprecation by its coordinate: `Course.code`, `Color.BLUE`, `Query.node(id:)`. */
export function deprecations(schema) {
  const found = new Map();
  const note = (coordinate, { deprecationReason }) => {
    if (deprecationReason != null) found.set(coordinate, deprecationReason);
  };
  for (const type of Object.values(schema.getTypeMap())) {
    if (isEnumType(type)) type.getValues().forEach((value) => note(`${type.name}.${value.name}`, value));
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      note(`${type.name}.${field.name}`, field);
      for (const arg of field.args ?? []) note(`${type.name}.${field.name}(${arg.name}:)`, arg);
    }
  }
  return found;
}

/** Returns the day in the reason of a deprecation. From that day the element may be removed. */
export function removalDay(reason) {
  return /^\S.*\. May be removed from (\d{4}-\d{2}-\d{2})\.$/s.exec(reason ?? "")?.[1];
}

/** Returns the coordinate of the element that a change removes. graphql-js names it in the change's description. */
function coordinateOf(type, description) {
  const words = description.split(" ");
  switch (type) {
    case "FIELD_REMOVED":
      return words[0];
    case "VALUE_REMOVED_FROM_ENUM":
      return `${words.at(-1).slice(0, -1)}.${words[0]}`;
    case "ARG_REMOVED":
      return `${words[0]}(${words[2]}:)`;
    default:
      return undefined;
  }
}
