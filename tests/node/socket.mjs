// A WebSocket client of the `ws` package. Its argument is JSON: `url`, `headers`, `protocols`, `compress`, `size` of a
// message. It sends that message whole, in fragments and as binary, pings, and closes; what it saw is JSON on its output.
import { once } from "node:events";
import WebSocket from "ws";

const { url, headers, protocols, compress, size } = JSON.parse(process.argv[2]);
const perMessageDeflate = compress && { threshold: 0 };
const socket = new WebSocket(url, protocols, { headers, perMessageDeflate, maxPayload: 2 ** 30 });
socket.on("error", (error) => { console.log(JSON.stringify({ error: String(error) })); process.exit(); });
await once(socket, "open");

const text = "0123456✓".repeat(Math.ceil(size / 8)).slice(0, size);
const echoed = async (send) => {
  const answer = once(socket, "message");
  send();
  const [data, isBinary] = await answer;
  return { data, isBinary };
};

const whole = await echoed(() => socket.send(text));
const parts = await echoed(() => {
  for (let at = 0; at < size; at += size / 4) socket.send(text.slice(at, at + size / 4), { fin: at + size / 4 >= size });
});
const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
const binary = await echoed(() => socket.send(bytes));
const pong = once(socket, "pong");
socket.ping("there?");
const [payload] = await pong;
const closed = once(socket, "close");
socket.close(4003, "all seen");
const [code, reason] = await closed;
console.log(JSON.stringify({
  protocol: socket.protocol,
  extensions: socket.extensions,
  text: !whole.isBinary && whole.data.toString() === text,
  fragments: !parts.isBinary && parts.data.toString() === text,
  binary: binary.isBinary && binary.data.equals(bytes),
  pong: payload.toString(),
  code,
  reason: reason.toString(),
}));
