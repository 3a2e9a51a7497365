// Makes web/vendor/ from npm packages: `node web/vendor.mjs`. Only whoever updates a library runs it.
//
// Each package is pinned by version and by the sha256 of its tarball. What comes out is one
// minified ES module for each library, with its licence beside it; the same input makes the same
// bytes. Needs npm and tar.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PACKAGES = {
  "lit-html": ["3.3.3", "ae004138a6327c362fee8e48db2a8ee9619a6ca3014c802857395e6ac447a0eb"],
  "lit-element": ["4.2.2", "436004379d2f0ce912435c9cbcf9cabb28a3cfd9fb6823c7a7c6d686124b162e"],
  "@lit/reactive-element": ["2.1.2", "1fdaf29e5284fc7ffeab352c51edb3c017d73c4e98f0cd3dc53fb8dd555775e5"],
  "marked": ["18.2.1", "d66c5213fc203466186060105b01f51896764ba64b3797d2620d02e28e34b8ca"],
  "dompurify": ["3.4.18", "8b86f79c6481fec23dd81d4de32179422668912ed033c0c47e786a6e70cb3379"],
};

/** Modules of Lit in the order in which they need each other; what the page may import. */
const LIT = [
  "@lit/reactive-element/css-tag.js",
  "@lit/reactive-element",
  "lit-html",
  "lit-element",
  "lit-html/directive.js",
  "lit-html/directive-helpers.js",
  "lit-html/async-directive.js",
  "lit-html/directives/class-map.js",
  "lit-html/directives/guard.js",
  "lit-html/directives/if-defined.js",
  "lit-html/directives/keyed.js",
  "lit-html/directives/live.js",
  "lit-html/directives/ref.js",
  "lit-html/directives/repeat.js",
  "lit-html/directives/unsafe-html.js",
];

const target = join(import.meta.dirname, "vendor");
const folder = mkdtempSync(join(tmpdir(), "chatboard-vendor-"));

function fetchPackage(name) {
  const [version, sha256] = PACKAGES[name];
  const said = execFileSync("npm", ["pack", "--silent", "--json", `${name}@${version}`], { cwd: folder });
  const { filename } = JSON.parse(said.toString())[0];
  const bytes = readFileSync(join(folder, filename));
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== sha256) throw new Error(`${name} ${version}: sha256 ${found}, expected ${sha256}`);
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  execFileSync("tar", ["xzf", join(folder, filename), "-C", place, "--strip-components=1"]);
}

const read = (path) => readFileSync(join(folder, path), "utf8").replace(/\n?\/\/# sourceMappingURL=.*\n?/g, "");

/** `a as b,c` → [["a", "b"], ["c", "c"]]. */
const pairs = (list) => list.split(",").filter(Boolean).map((one) => {
  const [from, to] = one.trim().split(/\s+as\s+/);
  return [from, to ?? from];
});

/** Lit's modules as one: each becomes a function that returns what it exports. */
function bundleLit() {
  const files = { "@lit/reactive-element": "reactive-element.js", "lit-html": "lit-html.js", "lit-element": "lit-element.js" };
  const name = (specifier) => `m${LIT.indexOf(specifier)}`;
  const exported = new Map();
  const parts = LIT.map((specifier) => {
    const path = files[specifier] ? `${specifier}/${files[specifier]}` : specifier;
    const package_ = specifier.startsWith("@lit") ? "@lit/reactive-element" : "lit-html";
    const resolve = (from) => {
      if (!from.startsWith(".")) return from;
      const file = from.replace(/^(\.\.?\/)+/, "");
      const found = file === "lit-html.js" ? "lit-html" : `${package_}/${file}`;
      if (!LIT.includes(found)) throw new Error(`${specifier} imports ${from}, which is not taken`);
      return found;
    };
    const out = [];
    let code = read(path);
    code = code.replace(/import\s*\{([^}]*)\}\s*from\s*"([^"]+)";?/g, (_, list, from) =>
      `const{${pairs(list).map(([a, b]) => (a === b ? a : `${a}:${b}`))}}=${name(resolve(from))};`);
    code = code.replace(/export\s*\{([^}]*)\}\s*from\s*"([^"]+)";?/g, (_, list, from) => {
      for (const [a, b] of pairs(list)) out.push([`${name(resolve(from))}.${a}`, b]);
      return "";
    });
    // What one module passes on, the end of this file exports anyway.
    code = code.replace(/export\s*\*\s*from\s*"[^"]+";?/g, "");
    code = code.replace(/export\s*\{([^}]*)\};?/g, (_, list) => {
      out.push(...pairs(list));
      return "";
    });
    if (/\bimport\s*["{*]|\bexport\s*[{*]/.test(code)) throw new Error(`${specifier}: an import or export is left`);
    for (const [, to] of out) if (!exported.has(to)) exported.set(to, `${name(specifier)}.${to}`);
    const returned = out.map(([from, to]) => (from === to ? to : `${to}:${from}`));
    return `const ${name(specifier)}=(()=>{${code.trim()}\nreturn{${returned}}})();`;
  });
  const names = [...exported].filter(([to]) => !to.startsWith("_$"));
  return `${parts.join("\n")}\nexport const ${names.map(([to, from]) => `${to}=${from}`)};\n`;
}

/** DOMPurify's minified file is for every loader but this one. */
const wrapPurify = () =>
  `const module={exports:{}};(function(exports,define){${read("dompurify/dist/purify.min.js").trim()}\n})(module.exports);\nexport default module.exports;\n`;

function main() {
  for (const name of Object.keys(PACKAGES)) fetchPackage(name);
  mkdirSync(target, { recursive: true });
  const write = (name, text) => {
    writeFileSync(join(target, name), text);
    console.log(`vendor/${name}: ${Buffer.byteLength(text)} bytes`);
  };
  write("lit.js", bundleLit());
  write("marked.js", `${read("marked/lib/marked.esm.js").trim()}\n`);
  write("dompurify.js", wrapPurify());
  write("LICENSE-lit.txt", read("lit-html/LICENSE"));
  write("LICENSE-marked.txt", read("marked/LICENSE"));
  write("LICENSE-dompurify.txt", read("dompurify/LICENSE"));
}

try {
  main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
