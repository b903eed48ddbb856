// A frontend on Apollo Client.

import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, ServerError, gql } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { ErrorLink } from "@apollo/client/link/error";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import { filter, firstValueFrom, from, switchMap } from "rxjs";

import * as documents from "./documents.mjs";
import { journey } from "./journey.mjs";

journey("Apollo Client", (server, session, subscriptions) => {
  const signed = new SetContextLink(({ headers }) => ({ headers: { ...headers, ...session.headers } }));
  const renewing = new ErrorLink(({ error, operation, forward }) => {
    if (isUnauthenticated(error) && session.tokens) {
      return from(session.renew()).pipe(
        switchMap(() => {
          operation.setContext(({ headers }) => ({ headers: { ...headers, ...session.headers } }));
          return forward(operation);
        }),
      );
    }
  });
  const client = new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      // The link only calls `subscribe`, which the clients for WebSockets and for server-sent events both have.
      new GraphQLWsLink(subscriptions),
      ApolloLink.from([renewing, signed, new HttpLink({ uri: server.url })]),
    ),
    cache: new InMemoryCache({
      typePolicies: { User: { fields: { mockTestAttempts: relayStylePagination(["filter", "orderBy"]) } } },
      possibleTypes: { UserError: ["PriceChangedError", "SubjectsError", "FieldError"] },
    }),
  });

  const query = (document, variables, options) => client.query({ query: gql(document), variables, ...options });
  const mutate = async (field, input) => {
    const { data } = await client.mutate({ mutation: gql(documents[field]), variables: { input } });
    return data[field];
  };
  const signIn = (field) => async (input) => {
    const payload = await mutate(field, input);
    session.tokens = payload.tokens;
    return payload;
  };

  /** Watches the list as a component does, and loads page after page. */
  async function pages(variables, next) {
    const list = client.watchQuery({ query: gql(documents.cards), variables, fetchPolicy: "cache-and-network" });
    const shown = list.subscribe(() => {});
    try {
      let { data } = await firstValueFrom(list.pipe(filter(({ loading }) => !loading)));
      for (let more; (more = next(data.viewer.mockTestAttempts.pageInfo)); ) {
        ({ data } = await list.fetchMore({ variables: { ...variables, ...more } }));
      }
      // The data that the component would render.
      const { viewer } = client.readQuery({ query: gql(documents.cards), variables });
      return viewer.mockTestAttempts.edges.map(({ node }) => node.testNumber);
    } finally {
      shown.unsubscribe();
    }
  }

  return {
    register: signIn("register"),
    login: signIn("login"),
    purchase: (input) => mutate("purchase", input),
    viewer: async () => (await query(documents.viewer, {}, { fetchPolicy: "network-only" })).data.viewer,
    cardsForward: (first) => pages({ first }, (page) => page.hasNextPage && { after: page.endCursor }),
    cardsBackward: (last) => pages({ last }, (page) => page.hasPreviousPage && { before: page.startCursor }),
    onCard(variables, listener) {
      const changes = client.subscribe({ query: gql(documents.cardChanged), variables });
      const subscription = changes.subscribe({
        next: ({ data, error }) => listener(error, data?.mockTestAttemptChanged),
        error: listener,
      });
      return () => subscription.unsubscribe();
    },
    firstCard: async (subjectId, cached) => {
      const options = { fetchPolicy: cached ? "cache-only" : "network-only" };
      return (await query(documents.firstCard, { subjectId }, options)).data.viewer.mockTestAttempts.edges[0].node;
    },
    startTest: (input) => mutate("startTestSession", input),
    saveAnswers: (input) => mutate("saveAnswers", input),
    submitTest: (input) => mutate("submitTestSession", input),
    onClock(sessionId, listener) {
      const subscription = client.subscribe({ query: gql(documents.clock), variables: { sessionId } }).subscribe({
        next: ({ data, error }) => listener(error, data?.testSessionClock),
        error: listener,
        complete: () => listener(null, null),
      });
      return () => subscription.unsubscribe();
    },
    cachedOptions: () =>
      Object.values(client.cache.extract())
        .filter(({ __typename }) => __typename === "Option")
        .map(({ id, text }) => [id, text]),
    close: () => client.stop(),
  };
});

function isUnauthenticated(error) {
  if (ServerError.is(error)) return error.statusCode === 401;
  return CombinedGraphQLErrors.is(error) && error.errors.some(({ extensions }) => extensions?.code === "UNAUTHENTICATED");
}
