// The form in which the documents of the comparison are written.

/**
 * The cases of a topic. An entry is a document, or a document with one or more sets of variables, or an object with
 * `document`, `variables` and `operationName`.
 * @returns {{ document: string, variables?: object, operationName?: string }[]}
 */
export const cases = (...entries) =>
  entries.flatMap((entry) => {
    if (typeof entry === "string") return { document: entry };
    if (!Array.isArray(entry)) return entry;
    const [document, ...variables] = entry;
    return variables.map((set) => ({ document, variables: set }));
  });
