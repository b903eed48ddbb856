// Finds the differences between two responses that matter to a client.

/**
 * Compares our response with that of graphql-js, and returns the kind of the first difference:
 * - `outcome`: one engine refused the request, and the other executed it;
 * - `data`: the values or the order of the fields differ;
 * - `errors`: the errors of the execution differ in number, path or message;
 * - `location`: our first error has no position in the document, or another line than that of graphql-js.
 * If both engines refuse a request, the number and the messages of the errors may differ.
 * @returns {string | undefined} undefined when they agree
 */
export function differenceOf(ours, theirs) {
  const executed = "data" in ours;
  if (executed !== "data" in theirs) return "outcome";
  if (text(ours.data) !== text(theirs.data)) return "data";
  if (executed && !haveSameErrors(ours.errors, theirs.errors)) return "errors";
  // An error of the execution belongs to a field, so its column must agree. A refusal may point to an argument or to its
  // value, so only its line must agree.
  const places = executed ? ({ line, column }) => `${line}:${column}` : ({ line }) => line;
  if (!pointsWhere(ours.errors, theirs.errors, places)) return "location";
  return undefined;
}

/** Returns data as text. Lists of introspection that have no fixed order are sorted. */
function text(data) {
  return JSON.stringify(data, (key, value) =>
    unordered.has(key) && Array.isArray(value) ? value.map(text).sort() : value,
  );
}
const unordered = new Set(["possibleTypes", "directives", "types"]);

/** Returns whether the errors are the same in any order, because fields run concurrently. */
function haveSameErrors(ours = [], theirs = []) {
  const left = [...ours];
  for (const { path, message } of theirs) {
    // Each engine has its own message for an argument that is found wrong only during the execution.
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
