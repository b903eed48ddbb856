// The two ways to subscribe: a WebSocket, by `graphql-ws`, and server-sent events, by `graphql-sse`.

import { createClient as createSseClient } from "graphql-sse";
import { createClient as createSocketClient } from "graphql-ws";
import WebSocket from "ws";

export const transports = ["WebSocket", "server-sent events"];

/**
 * Returns a client for subscriptions over this transport.
 * @returns {{ client: { subscribe(request, sink): () => void, dispose(): void }, subscribed(): Promise<void> }}
 *   `subscribed` waits until the server has begun the subscription, so that the client gets all later changes.
 */
export function connect(transport, server, session) {
  return transport === "WebSocket" ? overSocket(server, session) : overEvents(server, session);
}

function overSocket(server, session) {
  const client = createSocketClient({
    url: server.socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: () => session.headers,
    retryAttempts: 0,
  });
  // The server handles the messages of a socket in order. A response to a later query shows that the subscription has
  // begun.
  const subscribed = () =>
    new Promise((resolve, reject) => {
      client.subscribe({ query: "{ __typename }" }, { next: () => {}, error: reject, complete: resolve });
    });
  return { client, subscribed };
}

function overEvents(server, session) {
  let connected;
  const answered = new Promise((resolve) => (connected = resolve));
  const client = createSseClient({
    url: server.url,
    headers: () => session.headers,
    retryAttempts: 0,
    on: { connected },
  });
  return { client, subscribed: () => answered };
}
