// Node's own fetch as a client: one request as the JSON argument says, its answer as JSON on standard output.
// `size`: bytes of a body that stands on standard input, or null.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const { url, method, headers, size } = JSON.parse(process.argv[2]);
const response = await fetch(url, { method, headers, body: size === null ? undefined : readFileSync(0) });
const body = Buffer.from(await response.arrayBuffer());
console.log(JSON.stringify({
  status: response.status,
  length: body.length,
  sha256: createHash("sha256").update(body).digest("hex"),
  body: body.subarray(0, 65536).toString("latin1"),
}));
