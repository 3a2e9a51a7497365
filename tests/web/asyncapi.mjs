// Validates the AsyncAPI document that comes on stdin with AsyncAPI's own parser. The first
// argument is the folder that holds `node_modules`.

import { createRequire } from "node:module";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const require = createRequire(join(process.argv[2], "node_modules", "x.js"));
const { Parser } = require("@asyncapi/parser");

/** Severity of an error; warnings, hints and the advice to use a later version are greater. */
const ERROR = 0;

const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
const errors = diagnostics.filter((it) => it.severity === ERROR);
for (const { code, message, path } of errors) {
  console.error(`${path.join("/")}: ${code}: ${message}`);
}
if (!document || errors.length > 0) process.exit(1);
console.log(`${document.messages().length} messages are valid`);
