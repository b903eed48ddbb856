// A frontend on urql with its normalised cache.

import { readFile } from "node:fs/promises";

import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { buildSchema, introspectionFromSchema } from "graphql";
import { onEnd, pipe, subscribe } from "wonka";

import { root } from "../support/server.mjs";
import * as documents from "./documents.mjs";
import { journey } from "./journey.mjs";

const introspection = introspectionFromSchema(buildSchema(await readFile(`${root}/schema.graphql`, "utf8")));

journey("urql", (server, session, subscriptions) => {
  const client = new Client({
    url: server.url,
    preferGetMethod: false,
    exchanges: [
      cacheExchange({
        schema: introspection,
        // Objects of these types have no id.
        keys: Object.fromEntries(
          ["AuthTokens", "AuthPayload", "Money", "PurchaseQuote", "MockTestAttemptConnection", "PageInfo"]
            .concat("MockTestAttemptEdge", "PriceChangedError", "SubjectsError", "FieldError", "PurchasePayload")
            .concat("TestSessionPayload", "SessionQuestion", "Answer", "SessionResult", "TopicResult", "SessionClock")
            .map((type) => [type, () => null]),
        ),
        resolvers: { User: { mockTestAttempts: relayPagination() } },
        // A sign-in removes `viewer` from the cache, because another person may see other data.
        updates: {
          Mutation: Object.fromEntries(
            ["register", "login"].map((field) => [field, (_result, _args, cache) => cache.invalidate("Query", "viewer")]),
          ),
        },
      }),
      authExchange(async ({ appendHeaders }) => ({
        addAuthToOperation: (operation) => appendHeaders(operation, session.headers),
        didAuthError: ({ response, graphQLErrors }) =>
          response?.status === 401 || graphQLErrors.some(({ extensions }) => extensions.code === "UNAUTHENTICATED"),
        refreshAuth: () => session.renew(),
      })),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({ unsubscribe: subscriptions.subscribe(request, sink) }),
        }),
      }),
    ],
  });

  const query = async (document, variables, context) => {
    const { data, error } = await client.query(gql(document), variables, context).toPromise();
    if (error) throw error;
    return data;
  };
  const mutate = async (field, input) => {
    const { data, error } = await client.mutation(gql(documents[field]), { input }).toPromise();
    if (error) throw error;
    return data[field];
  };
  const signIn = (field) => async (input) => {
    const payload = await mutate(field, input);
    session.tokens = payload.tokens;
    return payload;
  };

  /** Loads each page with its own query. The cache's resolver joins all loaded pages to one list. */
  async function pages(variables, next) {
    let list = (await query(documents.cards, variables)).viewer.mockTestAttempts;
    for (let more; (more = next(list.pageInfo)); ) {
      list = (await query(documents.cards, { ...variables, ...more })).viewer.mockTestAttempts;
    }
    return list.edges.map(({ node }) => node.testNumber);
  }

  return {
    register: signIn("register"),
    login: signIn("login"),
    purchase: (input) => mutate("purchase", input),
    viewer: async () => (await query(documents.viewer, {}, { requestPolicy: "network-only" })).viewer,
    cardsForward: (first) => pages({ first }, (page) => page.hasNextPage && { after: page.endCursor }),
    cardsBackward: (last) => pages({ last }, (page) => page.hasPreviousPage && { before: page.startCursor }),
    onCard(variables, listener) {
      const { unsubscribe } = pipe(
        client.subscription(gql(documents.cardChanged), variables),
        subscribe(({ error, data }) => listener(error, data?.mockTestAttemptChanged)),
      );
      return unsubscribe;
    },
    firstCard: async (subjectId, cached) => {
      const options = { requestPolicy: cached ? "cache-only" : "network-only" };
      return (await query(documents.firstCard, { subjectId }, options)).viewer.mockTestAttempts.edges[0].node;
    },
    startTest: (input) => mutate("startTestSession", input),
    saveAnswers: (input) => mutate("saveAnswers", input),
    submitTest: (input) => mutate("submitTestSession", input),
    onClock(sessionId, listener) {
      const { unsubscribe } = pipe(
        client.subscription(gql(documents.clock), { sessionId }),
        onEnd(() => listener(null, null)),
        subscribe(({ error, data }) => listener(error, data?.testSessionClock)),
      );
      return unsubscribe;
    },
    close: () => {},
  };
});
