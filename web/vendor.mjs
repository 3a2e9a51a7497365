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
  "emojibase-data": ["17.0.0", "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a"],
};

/** Modules of Lit in the order in which they need each other; what the page may import. */
const LIT = [
  "@lit/reactive-element/css-tag.js",
  "@lit/reactive-element",
  "lit-html",
  "lit-element",
  "lit-html/directive.js",
  "lit-html/directive-helpers.js",
  "lit-html/directives/repeat.js",
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

/** Emoji of later versions lack a picture on many devices, and the server does not know them yet. */
const EMOJI_VERSION_MAX = 15.1;
/** Words that an emoji is found by, besides its name. */
const EMOJI_TAGS_MAX = 8;
/** The group of skin tones and hair styles, which are parts of others. */
const EMOJI_COMPONENTS = 2;

/** An emoji with a skin tone: the modifier stands after the person. */
const toned = (emoji, tone) => {
  const [first, ...rest] = [...emoji];
  return first + String.fromCodePoint(0x1f3fa + tone) + rest.join("").replace(/^\ufe0f/, "");
};

/** One text for each group: a line for each emoji with itself, whether it has skin tones, its shortcodes, its name, its other words. */
function emojiData() {
  const json = (path) => JSON.parse(read(`emojibase-data/en/${path}`));
  const codes = [json("shortcodes/github.json"), json("shortcodes/iamcal.json")];
  const list = (value) => (value === undefined ? [] : [value].flat());
  const groups = json("messages.json").groups.filter(({ order }) => order !== EMOJI_COMPONENTS);
  const named = groups.map(({ order, message }) => {
    const lines = json("data.json").filter((one) => one.group === order && one.version <= EMOJI_VERSION_MAX).sort((a, b) => a.order - b.order)
      .map(({ emoji, hexcode, label, tags = [], skins = [] }) => {
        const hasTones = [1, 2, 3, 4, 5].every((tone) => skins.some((skin) => skin.emoji === toned(emoji, tone)));
        const shortcodes = [...new Set(codes.flatMap((all) => list(all[hexcode])))];
        const name = label.toLowerCase();
        if (!shortcodes.length) shortcodes.push(name.normalize("NFD").replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, ""));
        const known = `${name} ${shortcodes.join(" ")}`;
        const words = tags.filter((tag) => !known.includes(tag)).slice(0, EMOJI_TAGS_MAX);
        return [emoji, hasTones ? 1 : "", shortcodes.join(" "), label, words.join(" ")].join("\t");
      });
    return [message[0].toUpperCase() + message.slice(1), lines.join("\n")];
  });
  return `export const GROUPS=${JSON.stringify(named)};\n`;
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
  write("emoji.js", emojiData());
  write("LICENSE-lit.txt", read("lit-html/LICENSE"));
  write("LICENSE-marked.txt", read("marked/LICENSE"));
  write("LICENSE-dompurify.txt", read("dompurify/LICENSE"));
  write("LICENSE-emojibase.txt", read("emojibase-data/LICENSE"));
}

try {
  main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
