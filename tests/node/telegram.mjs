// Telegram's side of a Mini App: a JSON array of `{token, authDate, data}` on standard input, and of each the signed
// initData on standard output, a JSON array too. authDate: seconds since the epoch.
import { readFileSync } from "node:fs";
import { sign } from "@telegram-apps/init-data-node";

const orders = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(orders.map(({ token, authDate, data }) => sign(data, token, new Date(authDate * 1000)))));
