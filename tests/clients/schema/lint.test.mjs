// Rules for the schema: its structure, by graphql-eslint, and the language of its descriptions.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import graphqlPlugin from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";
import { Kind, parse } from "graphql";

import { root } from "../support/server.mjs";
import { described, faults, sentences } from "../support/descriptions.mjs";

const { rules: recommended } = graphqlPlugin.configs["flat/schema-recommended"];
const { rules: relay } = graphqlPlugin.configs["flat/schema-relay"];

/** Our settings in addition to the recommended ones, with the reasons. */
const ours = {
  // These types have no id: they are parts of an object that has an id, or parts of one response.
  "@graphql-eslint/strict-id-in-types": [
    "error",
    {
      exceptions: {
        suffixes: ["Payload", "Connection", "Edge", "Error"],
        types: [
          "Answer",
          "AuthTokens",
          "BlueprintPart",
          "Allowance",
          "CardAllowance",
          "Cart",
          "CartChange",
          "Entitlement",
          "GuardianConsent",
          "Learner",
          "LearnerCard",
          "MarkingScheme",
          "Money",
          "Offer",
          "OrderLine",
          "OrderPayment",
          "OrderRefund",
          "PageInfo",
          "PaymentEvent",
          "Progress",
          "PurchaseGrant",
          "PurchaseLine",
          "PurchaseQuote",
          "QuestionExport",
          "QuestionCorrection",
          "QuestionLoss",
          "QuestionNotice",
          "QuestionRefusal",
          "QuestionVersion",
          "QuoteLine",
          "RefundLine",
          "SalesRefunds",
          "SalesReport",
          "SalesRow",
          "SecondFactor",
          "SecondFactorRequest",
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
  // Short lists that are always complete, such as the subjects of a purchase, are not connections.
  "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
  // Rules in addition to the recommended rules.
  "@graphql-eslint/no-scalar-result-type-on-mutation": "error",
  "@graphql-eslint/require-nullable-fields-with-oneof": "error",
};

/** Messages that the test ignores, with the reasons. Their rules have no option for exceptions. */
const excepted = new Set([
  // Frontends know this name from the system before jishu.
  'Field "purchaseType" starts with the name of the parent type "Purchase"',
  // A `LearnerCard` is no `Node`: it is for support, and the field `node` returns a test card only to its learner.
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

test("every description of the schema is plain English", async () => {
  const document = parse(await readFile(join(root, "schema.graphql"), "utf8"));
  const found = described(document);
  assert.ok(found.length > 400, `the schema has ${found.length} descriptions`);
  assert.deepEqual(
    found.flatMap(({ path, text, node }) => faults(text, node).map((fault) => `${path}: ${fault}: ${text}`)),
    [],
  );
});

test("the rules for descriptions find each kind of fault", () => {
  const field = (name, type) => ({
    kind: Kind.FIELD_DEFINITION,
    name: { value: name },
    type: { kind: type.endsWith("!") ? Kind.NON_NULL_TYPE : Kind.NAMED_TYPE },
  });
  const plain = field("name", "String!");
  const found = (text, node = plain) => faults(text, node).join(", ");
  assert.equal(found("The name of the course."), "");
  assert.equal(found("the name of the course."), "does not begin with an uppercase letter");
  assert.equal(found("The name of the course"), "does not end with a full stop");
  assert.equal(found("The name. What it is called."), 'a sentence begins with "What"');
  assert.equal(found("Whose course it is."), 'a sentence begins with "Whose"');
  assert.equal(found("At most so many items."), 'contains "so many"');
  assert.equal(found("The sitting, if there is none."), "");
  assert.equal(found("An id that is none."), 'contains "is none"');
  assert.equal(found("An id that is no id of a course."), 'contains "is no id"');
  assert.equal(found(`The name${" of it".repeat(15)}.`), "a sentence has 32 words");
  assert.equal(found("The name.", field("name", "String")), "does not say when it is null");
  assert.equal(found("The name. Null if there is none.", field("name", "String")), "");
  assert.equal(found("The time limit.", field("timeLimitSeconds", "Int!")), "does not name the unit, seconds");
  assert.deepEqual(sentences('An amount: "199.00". Never a float.'), ['An amount: "199.00".', "Never a float."]);
});
