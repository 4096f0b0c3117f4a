// A Node server behind the gateway: `counting.mjs` prints its port, and tells at /told what it has seen since.
import http from "node:http";

const seen = [];
let malformed = 0;

const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.url === "/told") return response.end(JSON.stringify({ seen, malformed }));
  seen.push(request.url);
  let size = 0;
  request.on("data", (part) => (size += part.length));
  request.on("end", () => response.end(`${size}\n`));
  request.on("error", () => {}); // its body broke off
});
server.on("clientError", (error, socket) => {
  if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") malformed += 1;
  socket.destroy();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
