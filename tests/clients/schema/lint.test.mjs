// The schema, as graphql-eslint's rules for schemas read it.

import assert from "node:assert/strict";
import { test } from "node:test";

import graphqlPlugin from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";

import { root } from "../support/server.mjs";

const { rules: recommended } = graphqlPlugin.configs["flat/schema-recommended"];
const { rules: relay } = graphqlPlugin.configs["flat/schema-relay"];

/** Where we differ from the recommended settings, and why. */
const ours = {
  // What is reached by an id has one. The others are parts of what has one, or of one answer.
  "@graphql-eslint/strict-id-in-types": [
    "error",
    {
      exceptions: {
        suffixes: ["Payload", "Connection", "Edge", "Error"],
        types: [
          "Answer",
          "AuthTokens",
          "BlueprintPart",
          "CardAllowance",
          "Cart",
          "Entitlement",
          "Learner",
          "LearnerCard",
          "MarkingScheme",
          "Money",
          "PageInfo",
          "Progress",
          "PurchaseQuote",
          "QuestionExport",
          "QuestionCorrection",
          "QuestionLoss",
          "QuestionNotice",
          "QuestionRefusal",
          "QuestionVersion",
          "QuoteLine",
          "SessionClock",
          "SessionPaper",
          "SessionResult",
          "SubjectProgress",
          "TopicResult",
          "TrendPoint",
        ],
      },
    },
  ],
  // Short lists that come whole, such as the subjects of a purchase, are lists and not connections.
  "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
  // Beyond the recommended ones.
  "@graphql-eslint/no-scalar-result-type-on-mutation": "error",
  "@graphql-eslint/require-nullable-fields-with-oneof": "error",
};

/** What a rule that has no exceptions must let pass, and why. */
const excepted = new Set([
  // The name that the system before jishu gave it, which frontends know.
  'Field "purchaseType" starts with the name of the parent type "Purchase"',
  // `LearnerCard`: support is shown a card, and `node` gives it to its learner alone.
  "Edge type's field `node` must implement `Node` interface.",
]);

test("schema.graphql follows the rules for schemas and for Relay", async () => {
  const eslint = new ESLint({
    cwd: root,
    overrideConfigFile: true,
    overrideConfig: {
      files: ["*.graphql"],
      plugins: { "@graphql-eslint": graphqlPlugin },
      languageOptions: {
        parser: graphqlPlugin.parser,
        parserOptions: { graphQLConfig: { schema: `${root}/schema.graphql` } },
      },
      rules: { ...recommended, ...relay, ...ours },
    },
  });
  const [{ messages, fatalErrorCount }] = await eslint.lintFiles(["schema.graphql"]);
  assert.equal(fatalErrorCount, 0);
  assert.deepEqual(
    messages
      .filter(({ message }) => !excepted.has(message))
      .map(({ ruleId, line, message }) => `schema.graphql:${line} ${ruleId}: ${message}`),
    [],
  );
});
