// A frontend in TypeScript that relies on the generated types. It is compiled, and not run.

import type {
  CardChangedSubscription,
  CardsQuery,
  PurchaseMutation,
  PurchaseMutationVariables,
  RegisterMutation,
  SaveAnswersMutationVariables,
  SubmitTestMutation,
} from "./schema.js";

export const variables: PurchaseMutationVariables = {
  input: { courseId: "Q291cnNlOjE", purchaseType: "SINGLE_SUBJECT", subjectIds: ["U3ViamVjdDox"], cost: "499.00" },
};

/** Money is text, never a floating-point number. */
export function total({ purchase }: PurchaseMutation): string {
  for (const error of purchase.userErrors) {
    if (error.__typename === "PriceChangedError") return error.quote.total.amount;
  }
  return purchase.purchase?.cost.amount ?? purchase.message;
}

/** Lists have no holes. */
export function numbers({ viewer }: CardsQuery): number[] {
  return viewer?.mockTestAttempts.edges.map(({ node }) => node.testNumber) ?? [];
}

/** A date is text, and null where nobody is signed in. */
export function expiry({ register }: RegisterMutation): string | undefined {
  return register.tokens?.accessTokenExpiresAt;
}

export function left({ mockTestAttemptChanged: card }: CardChangedSubscription): number {
  return card.status === "EXHAUSTED" ? 0 : card.remainingAttempts;
}

/** Marks are text too, and null until they may be seen. */
export function marks({ submitTestSession: { session } }: SubmitTestMutation): (string | null | undefined)[] {
  return session?.questions.map((question) => question.marks) ?? [];
}

export const answers: SaveAnswersMutationVariables["input"]["answers"] = [
  { slot: 1, optionIds: ["T3B0aW9uOjE"], flagged: true },
  { slot: 2, numericValue: "2.5", timeSpentSeconds: 40 },
];

// @ts-expect-error: a purchase type that does not exist does not compile.
export const unknown: PurchaseMutationVariables["input"]["purchaseType"] = "HALF_BUNDLE";

// @ts-expect-error: a cost that is a number does not compile.
export const float: PurchaseMutationVariables["input"]["cost"] = 499.0;
