// The notation in which the documents of the comparison are written.

/**
 * Returns the cases of a topic. An entry is a document, or an array of a document and its sets of variables, or an
 * object with `document`, `variables` and `operationName`.
 * @returns {{ document: string, variables?: object, operationName?: string }[]}
 */
export const cases = (...entries) =>
  entries.flatMap((entry) => {
    if (typeof entry === "string") return { document: entry };
    if (!Array.isArray(entry)) return entry;
    const [document, ...variables] = entry;
    return variables.map((set) => ({ document, variables: set }));
  });
