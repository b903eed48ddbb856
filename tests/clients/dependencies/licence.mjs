// Reads SPDX expressions, such as `(MIT OR Apache-2.0) AND Unicode-3.0`.

/** Splits an expression into its tokens. The older spelling `MIT/Apache-2.0` means a choice. */
const tokensOf = (expression) => expression.replaceAll("/", " OR ").match(/\(|\)|[^\s()]+/g) ?? [];

/**
 * Returns the licences that apply. If an expression offers a choice, takes the licence that comes first in `allowed`.
 * Returns null if the allowed licences do not satisfy the expression.
 * @param {string} expression
 * @param {string[]} allowed the licences that may be used, the preferred ones first
 * @returns {string[] | null}
 */
export function chooseLicences(expression, allowed) {
  const tokens = tokensOf(expression);
  let position = 0;
  const rank = (licences) => Math.max(...licences.map((licence) => allowed.indexOf(licence)));

  function readChoice() {
    let chosen = readUnion();
    while (tokens[position] === "OR") {
      position += 1;
      const other = readUnion();
      if (chosen === null || (other !== null && rank(other) < rank(chosen))) chosen = other;
    }
    return chosen;
  }
  function readUnion() {
    let union = readTerm();
    while (tokens[position] === "AND") {
      position += 1;
      const other = readTerm();
      union = union === null || other === null ? null : [...new Set([...union, ...other])];
    }
    return union;
  }
  function readTerm() {
    if (tokens[position] === "(") {
      position += 1;
      const inner = readChoice();
      position += 1;
      return inner;
    }
    let licence = tokens[position];
    position += 1;
    if (tokens[position] === "WITH") {
      licence += ` WITH ${tokens[position + 1]}`;
      position += 2;
    }
    return allowed.includes(licence) ? [licence] : null;
  }

  const chosen = readChoice();
  if (position !== tokens.length) throw new Error(`not an SPDX expression: ${expression}`);
  return chosen;
}
