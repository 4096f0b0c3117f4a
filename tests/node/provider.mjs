// An OIDC provider on loopback, with a port beside it to work it from: each POST there is one of the orders below, with
// its arguments as JSON. Prints the provider's port and that of the orders.
import { createServer } from "node:http";
import { OAuth2Server } from "oauth2-mock-server";

const HOST = "127.0.0.1";
let server = new OAuth2Server();
await server.start(0, HOST);
const { port } = server.address();
const issuer = server.issuer.url;

const orders = {
  // a new key, which is published at once
  generate: ({ algorithm, kid }) => server.issuer.keys.generate(algorithm, { kid }).then(() => ({})),
  // a token signed with one of the keys
  token: async ({ kid, claims }) => ({
    token: await server.issuer.buildToken({ kid, scopesOrTransform: (_header, payload) => Object.assign(payload, claims) }),
  }),
  // a key is no longer published, nor signed with
  remove: async ({ kid }) => {
    const kept = server.issuer.keys.toJSON(true).filter((key) => key.kid !== kid);
    await server.stop();
    server = new OAuth2Server();
    for (const key of kept) await server.issuer.keys.add(key);
    await server.start(port, HOST);
    return {};
  },
  stop: () => server.stop().then(() => ({})),
  start: () => server.start(port, HOST).then(() => ({})),
};

const control = createServer(async (request, response) => {
  let text = "";
  for await (const part of request) text += part;
  try {
    const done = await orders[request.url.slice(1)](JSON.parse(text));
    response.end(JSON.stringify({ ...done, issuer }));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error));
  }
});
control.listen(0, HOST, () => console.log(`${port} ${control.address().port}`));
