// What makes two answers different, for a client.

/**
 * Compares our answer with that of graphql-js, and names the first thing that differs:
 * - `outcome`: one refused the request, the other executed it;
 * - `data`: in value or in the order of the fields;
 * - `errors`: errors of the execution have other paths or messages, or there are more of them;
 * - `location`: graphql-js says where in the document the first error is, and we do not, or say another line.
 * Of a request that is refused, the number and the words of the errors may differ.
 * @returns {string | undefined} undefined when they agree
 */
export function differenceOf(ours, theirs) {
  const executed = "data" in ours;
  if (executed !== "data" in theirs) return "outcome";
  if (text(ours.data) !== text(theirs.data)) return "data";
  if (executed && !haveSameErrors(ours.errors, theirs.errors)) return "errors";
  // An execution error belongs to a field. Which element a refusal is about is open: an argument that has the wrong
  // type, or its value?
  const places = executed ? ({ line, column }) => `${line}:${column}` : ({ line }) => line;
  if (!pointsWhere(ours.errors, theirs.errors, places)) return "location";
  return undefined;
}

/** As text; the lists of introspection that have no order get one. */
function text(data) {
  return JSON.stringify(data, (key, value) =>
    unordered.has(key) && Array.isArray(value) ? value.map(text).sort() : value,
  );
}
const unordered = new Set(["possibleTypes", "directives", "types"]);

/** In any order: fields run concurrently. */
function haveSameErrors(ours = [], theirs = []) {
  const left = [...ours];
  for (const { path, message } of theirs) {
    // Of an argument that turns out wrong only now, each engine speaks in its own words.
    const worded = !/^Argument "\w+" /.test(message);
    const found = left.findIndex(
      (error) => JSON.stringify(error.path) === JSON.stringify(path) && (!worded || error.message === message),
    );
    if (found < 0) return false;
    left.splice(found, 1);
  }
  return left.length === 0;
}

function pointsWhere(ours = [], theirs = [], place) {
  const theirPlaces = theirs.flatMap(({ locations = [] }) => locations.map(place));
  if (theirPlaces.length === 0) return true;
  return (ours[0]?.locations ?? []).some((location) => theirPlaces.includes(place(location)));
}
