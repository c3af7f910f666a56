// Calls with Node's https and the .p12.
//
// client.js CA_FILE: reads one call a line (tab-separated: address, TLS version, certificate, key,
// key under the passphrase, .p12, passphrase; empty where there is none) and writes what came of
// it, one JSON object a line.
"use strict";

const fs = require("node:fs");
const https = require("node:https");
const readline = require("node:readline");

function ask(ca, url, version, p12, passphrase) {
  const options = {
    agent: false,
    ca: fs.readFileSync(ca),
    headers: { "Accept-Language": "ja" },
    maxVersion: `TLSv${version}`,
    minVersion: `TLSv${version}`,
    timeout: 30_000,
  };
  if (p12) {
    Object.assign(options, { pfx: fs.readFileSync(p12), passphrase });
  }
  return new Promise((resolve) => {
    const failed = (error) => resolve({ error: `${error.code}: ${error.message}` });
    const request = https.get(url, options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", failed);
      response.on("end", () => {
        resolve({ status: response.statusCode, body: Buffer.concat(parts).toString() });
      });
    });
    request.on("error", failed);
    request.on("timeout", () => request.destroy(new Error("no answer")));
  });
}

async function main() {
  const ca = process.argv[2];
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [url, version, , , , p12, passphrase] = line.split("\t");
    console.log(JSON.stringify(await ask(ca, url, version, p12, passphrase)));
  }
}

main();
