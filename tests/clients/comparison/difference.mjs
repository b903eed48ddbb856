// What makes two answers different, for a client.

/**
 * Compares our answer with that of graphql-js, and names the first thing that differs:
 * - `outcome`: one refused the request, the other executed it;
 * - `data`: in value or in the order of the fields;
 * - `errors`: resolvers' errors have other paths or messages, or there are more of them;
 * - `location`: the first error points where graphql-js points with none.
 * Of a request that is refused, the number and the words of the errors may differ.
 * @returns {string | undefined} undefined when they agree
 */
export function differenceOf(ours, theirs) {
  const executed = "data" in ours;
  if (executed !== "data" in theirs) return "outcome";
  if (text(ours.data) !== text(theirs.data)) return "data";
  if (executed && signature(ours.errors) !== signature(theirs.errors)) return "errors";
  if (!pointsWhere(ours.errors, theirs.errors)) return "location";
  return undefined;
}

/** As text; the lists of introspection that have no order get one. */
function text(data) {
  return JSON.stringify(data, (key, value) =>
    unordered.has(key) && Array.isArray(value) ? value.map(text).sort() : value,
  );
}
const unordered = new Set(["possibleTypes", "directives", "types"]);

/** The errors, in any order: fields run concurrently. */
function signature(errors = []) {
  return JSON.stringify(errors.map(({ path, message }) => JSON.stringify([path, message])).sort());
}

function pointsWhere(ours = [], theirs = []) {
  const place = ({ line, column }) => `${line}:${column}`;
  const theirPlaces = theirs.flatMap(({ locations = [] }) => locations.map(place));
  const [first] = ours[0]?.locations ?? [];
  return first ? theirPlaces.includes(place(first)) : theirPlaces.length === 0;
}
