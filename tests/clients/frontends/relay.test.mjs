// A frontend on Relay. It uses compiled documents, an environment and selectors, as Relay's React hooks do.

import { fileURLToPath } from "node:url";

import relay from "relay-runtime";

import { compileRelay } from "../support/relay.mjs";
import { journey } from "./journey.mjs";

const { Environment, Network, Observable, RecordSource, Store } = relay;
const { commitMutation, createOperationDescriptor, fetchQuery, getSingularSelector, requestSubscription } = relay;

let compiled;
const source = fileURLToPath(new URL("relay/documents.js", import.meta.url));

journey("Relay", async (server, session, subscriptions) => {
  compiled ??= compileRelay(source);
  const { artifacts: documents } = await compiled;

  async function request({ text }, variables) {
    const send = () => server.post({ query: text, variables }, session.headers);
    let response = await send();
    if (response.status === 401 && session.tokens) {
      await session.renew();
      response = await send();
    }
    const answer = await response.json();
    // Without this line, Relay would ignore the errors and show the partial data.
    if (answer.errors) throw new Error(answer.errors[0].message);
    return answer;
  }
  const subscribe = ({ name, text }, variables) =>
    Observable.create((sink) => subscriptions.subscribe({ operationName: name, query: text, variables }, sink));
  const environment = new Environment({
    network: Network.create(request, subscribe),
    store: new Store(new RecordSource()),
  });

  const query = (document, variables) => fetchQuery(environment, document, variables).toPromise();
  const mutate = (mutation, field, input) =>
    new Promise((resolve, reject) => {
      commitMutation(environment, {
        mutation,
        variables: { input },
        onCompleted: (answer, errors) => (errors ? reject(errors) : resolve(answer[field])),
        onError: reject,
      });
    });
  const signIn = (mutation, field) => async (input) => {
    const payload = await mutate(mutation, field, input);
    session.tokens = payload.tokens;
    return payload;
  };

  /** Loads pages as `usePaginationFragment` does: by queries with the viewer's global id. */
  async function pages(first, next) {
    const operation = createOperationDescriptor(first, {});
    const kept = environment.retain(operation);
    await query(first, {});
    const { viewer } = environment.lookup(operation.fragment).data;
    const selector = getSingularSelector(documents.documents_cards, viewer);
    const shown = () => environment.lookup(selector).data.mockTestAttempts;
    for (let more; (more = next(shown().pageInfo)); ) {
      await query(documents.documentsMoreCardsQuery, { id: viewer.id, ...more });
    }
    const numbers = shown().edges.map(({ node }) => node.testNumber);
    kept.dispose();
    return numbers;
  }

  return {
    register: signIn(documents.documentsRegisterMutation, "register"),
    login: signIn(documents.documentsLoginMutation, "login"),
    purchase: (input) => mutate(documents.documentsPurchaseMutation, "purchase", input),
    viewer: async () => (await query(documents.documentsViewerQuery, {})).viewer,
    cardsForward: (first) =>
      pages(documents.documentsCardsQuery, (page) => page.hasNextPage && { first, after: page.endCursor }),
    cardsBackward: (last) =>
      pages(
        documents.documentsLastCardsQuery,
        (page) => page.hasPreviousPage && { last, before: page.startCursor },
      ),
    onCard(variables, listener) {
      const { dispose } = requestSubscription(environment, {
        subscription: documents.documentsCardChangedSubscription,
        variables,
        onNext: ({ mockTestAttemptChanged }) => listener(null, mockTestAttemptChanged),
        onError: listener,
      });
      return dispose;
    },
    firstCard: async (subjectId, cached) => {
      const operation = createOperationDescriptor(documents.documentsFirstCardQuery, { subjectId });
      if (!cached) {
        // The store keeps the data of an operation only while the operation is retained.
        environment.retain(operation);
        await query(documents.documentsFirstCardQuery, { subjectId });
      }
      return environment.lookup(operation.fragment).data.viewer.mockTestAttempts.edges[0].node;
    },
    startTest: (input) => mutate(documents.documentsStartTestMutation, "startTestSession", input),
    saveAnswers: (input) => mutate(documents.documentsSaveAnswersMutation, "saveAnswers", input),
    submitTest: (input) => mutate(documents.documentsSubmitTestMutation, "submitTestSession", input),
    onClock(sessionId, listener) {
      const { dispose } = requestSubscription(environment, {
        subscription: documents.documentsClockSubscription,
        variables: { sessionId },
        onNext: ({ testSessionClock }) => listener(null, testSessionClock),
        onError: listener,
        onCompleted: () => listener(null, null),
      });
      return dispose;
    },
    close: () => {},
  };
});
