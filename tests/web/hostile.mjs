// Everything that strangers can name or write, made of what has broken pages before. Nothing of it
// may run, and the policy may have nothing to report.

import { check, eventually, journey, rest, same, stage } from "./stage.mjs";
import { act, composer, enter, goTo, sees, shown, timeline } from "./ui.mjs";

/** What takes long to be told apart, or goes deep: drawn at once, and whole. */
const SLOW = [`${"😀".repeat(150)}a`, `${">".repeat(3300)} deep`, `${"- ".repeat(2000)}deep`, `${"1. ".repeat(2000)}deep`, "[".repeat(3000), "*a ".repeat(2000), "**".repeat(3000)];

/** From the OWASP cheat sheet on filter evasion and the collections that build on it. */
const VECTORS = [
  `<script>pwned()</script>`,
  `<img src=x onerror=pwned()>`,
  `<img src="javascript:pwned()">`,
  `<svg onload=pwned()>`,
  `<svg><script>pwned()</script></svg>`,
  `<svg><animate onbegin=pwned() attributeName=x dur=1s>`,
  `<svg><a xlink:href="javascript:pwned()"><text x="20" y="20">x</text></a></svg>`,
  `<body onload=pwned()>`,
  `<iframe src="javascript:pwned()"></iframe>`,
  `<iframe srcdoc="<script>parent.pwned()</script>"></iframe>`,
  `<object data="javascript:pwned()"></object>`,
  `<embed src="javascript:pwned()">`,
  `<math><mtext></form><form><mglyph><style></math><img src onerror=pwned()>`,
  `<form><button formaction="javascript:pwned()">x</button></form>`,
  `<input autofocus onfocus=pwned()>`,
  `<details open ontoggle=pwned()>x</details>`,
  `<video><source onerror="pwned()"></video>`,
  `<audio src=x onerror=pwned()>`,
  `<marquee onstart=pwned()>x</marquee>`,
  `<link rel=stylesheet href="javascript:pwned()">`,
  `<meta http-equiv="refresh" content="0;url=javascript:pwned()">`,
  `<base href="javascript:pwned()//">`,
  `<style>@import 'javascript:pwned()';</style>`,
  `<div style="background:url(javascript:pwned())">x</div>`,
  `<template><script>pwned()</script></template>`,
  `<noscript><p title="</noscript><img src=x onerror=pwned()>">`,
  `"><script>pwned()</script>`,
  `'-pwned()-'`,
  `\${pwned()}`,
  `{{constructor.constructor('pwned()')()}}`,
  `</textarea><script>pwned()</script>`,
  `<!--<img src="--><img src=x onerror=pwned()//">`,
  `<a href="javascript:pwned()">x</a>`,
  `[x](javascript:pwned())`,
  `[x](JaVaScRiPt:pwned())`,
  `[x](java\tscript:pwned())`,
  `[x](&#106;avascript:pwned())`,
  `[x](data:text/html,<script>pwned()</script>)`,
  `[x](vbscript:pwned())`,
  `![x](javascript:pwned())`,
  `![x"onerror="pwned()](x)`,
  `<javascript:pwned()>`,
  `[x]: javascript:pwned()\n[x]`,
  "`<img src=x onerror=pwned()>`",
  "```html\n<script>pwned()</script>\n```",
  `https://example.test/"onmouseover="pwned()`,
  `@<img src=x onerror=pwned()>`,
  `\u202e<script>pwned()</script>`,
  // Ways around filters that look for words.
  `<ScRiPt>pwned()</sCrIpT>`,
  `<script/src=data:,pwned()></script>`,
  `<script\x20type="text/javascript">pwned()</script>`,
  `<scr<script>ipt>pwned()</scr</script>ipt>`,
  `<<SCRIPT>pwned();//<</SCRIPT>`,
  `<SCRIPT/XSS SRC="http://example.test/x.js"></SCRIPT>`,
  `<IMG """><SCRIPT>pwned()</SCRIPT>"\>`,
  `<IMG SRC=\`javascript:pwned("x")\`>`,
  `<IMG SRC=javascript:pwned(String.fromCharCode(88))>`,
  `<IMG SRC=&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;pwned()>`,
  `<IMG SRC=&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3Apwned()>`,
  `<IMG SRC="jav&#x09;ascript:pwned();">`,
  `<IMG SRC=" &#14;  javascript:pwned();">`,
  `<img src=x:x onerror\t=pwned()>`,
  `<img/src=\`x\`onerror=pwned()>`,
  `<img src onerror=\u0070wned()>`,
  `<image href=x onerror=pwned()>`,
  `<a onmouseover="pwned()">over</a>`,
  `<a href="&#1;javascript:pwned()">x</a>`,
  `<a href="javascript&colon;pwned()">x</a>`,
  `<a href="javas\x01cript:pwned()">x</a>`,
  `<BGSOUND SRC="javascript:pwned();">`,
  `<TABLE BACKGROUND="javascript:pwned()"><TD>x</TD></TABLE>`,
  `<FRAMESET><FRAME SRC="javascript:pwned();"></FRAMESET>`,
  `<isindex type=image src=1 onerror=pwned()>`,
  `<select autofocus onfocus=pwned()><option>x</select>`,
  `<textarea autofocus onfocus=pwned()>x</textarea>`,
  `<keygen autofocus onfocus=pwned()>`,
  `<div contenteditable onbeforeinput=pwned()>x</div>`,
  `<xss style="animation-name:x" onanimationstart="pwned()"></xss>`,
  `<button popovertarget=x>y</button><xss popover id=x onbeforetoggle=pwned()>z</xss>`,
  `<dialog open onclose=pwned()><form method=dialog><button>x</button></form></dialog>`,
  `<object type="text/x-scriptlet" data="data:text/html,<script>parent.pwned()</script>"></object>`,
  `<portal src="javascript:pwned()"></portal>`,
  // SVG and MathML, whose parsing differs.
  `<svg><use href="data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'><image href='1' onerror='pwned()'/></svg>#x"/></svg>`,
  `<svg><set attributeName="onload" to="pwned()"/></svg>`,
  `<svg><animate attributeName=href values=javascript:pwned() /><a><text>x</text></a></svg>`,
  `<svg><foreignObject><iframe onload=pwned()></iframe></foreignObject></svg>`,
  `<svg><style>{font-family:'<iframe/onload=pwned()>'}</style></svg>`,
  `<svg><title><script>pwned()</script></title></svg>`,
  `<math><maction actiontype="statusline#http://example.test" xlink:href="javascript:pwned()">x</maction></math>`,
  `<math href="javascript:pwned()">x</math>`,
  `<math><annotation-xml encoding="text/html"><img src onerror=pwned()></annotation-xml></math>`,
  // What changes its meaning when it is parsed again.
  `<svg></p><style><a id="</style><img src=1 onerror=pwned()>">`,
  `<form><math><mtext></form><form><mglyph><svg><mtext><style><path id="</style><img onerror=pwned() src>">`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=pwned()&gt;">`,
  `<noembed><img title="</noembed><img src onerror=pwned()>"></noembed>`,
  `<xmp><p title="</xmp><img src onerror=pwned()>"></xmp>`,
  `<plaintext><img src onerror=pwned()>`,
  `<select><template><style><!--</style><a rel="--></style></template></select><img src onerror=pwned()>">`,
  `<![CDATA[<img src=x onerror=pwned()>]]>`,
  `<?xml version="1.0"?><img src=x onerror=pwned()>`,
  `<!DOCTYPE x [<!ENTITY y SYSTEM "javascript:pwned()">]>`,
  `&lt;script&gt;pwned()&lt;/script&gt;`,
  `&amp;lt;img src=x onerror=pwned()&amp;gt;`,
  // Names that pages read from the document.
  `<a id=board><a id=board name=user href=javascript:pwned()>`,
  `<form id=attributes><input name=nodeName></form>`,
  `<img name=getElementById><img name=body>`,
  // Markdown's own ways to a link.
  `[x](<javascript:pwned()>)`,
  `[x](javascript&colon;pwned&lpar;&rpar;)`,
  `[x](javascript\n:pwned())`,
  `[x](\u0001javascript:pwned())`,
  `[x](%6A%61vascript:pwned())`,
  `[x](\\x6Aavascript:pwned())`,
  `[x](//example.test/%2e%2e)`,
  `[x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9cHduZWQoKT4=)`,
  `[x](blob:http://example.test/1)`,
  `[x](filesystem:http://example.test/1)`,
  `[x](feed:javascript:pwned())`,
  `[x](view-source:javascript:pwned())`,
  `[x](http://example.test" onclick="pwned())`,
  `[x](http://example.test 'title" onmouseover="pwned()')`,
  `[x"><img src onerror=pwned()>](http://example.test)`,
  `[![x](javascript:pwned())](javascript:pwned())`,
  `![x](data:text/html,<script>pwned()</script>)`,
  `![x](https://example.test/pixel.gif"onload="pwned())`,
  `[a]: <javascript:pwned()> "x"\n[a][a] ![a][a]`,
  `<vbscript:pwned()>`,
  `<data:text/html;base64,PHNjcmlwdD5wd25lZCgpPC9zY3JpcHQ+>`,
  `http://example.test/<img/src/onerror=pwned()>`,
  `https://example.test/?x='onclick='pwned()'`,
  `www.example.test"onclick="pwned()`,
  `x@example.test"onclick="pwned()`,
  "\`\`\`\"><img src onerror=pwned()>\nx\n\`\`\`",
  "\`\`\`x onclick=pwned()\nx\n\`\`\`",
  `| <img src onerror=pwned()> | x |\n|---|---|\n| <script>pwned()</script> | y |`,
  `- [ ] <input onfocus=pwned() autofocus>`,
  `# <svg onload=pwned()>`,
  `> <iframe onload=pwned()>`,
  `*<b onclick=pwned()>* ~~<i onclick=pwned()>~~`,
  `@here@<img src onerror=pwned()>.test`,
  `@alice@acme.example"><svg onload=pwned()>`,
  // What deceives the eye.
  `[https://bank.example](https://evil.example)`,
  `https://\u0430pple.example/`,
  `\u202egnp.exe\u202c`,
  `\u2066\u202e<b>\u2069`,
  `zero\u200bwidth\u200d\ufeffjoin`,
  `${"\u0301".repeat(300)}zalgo`,
  `${"w".repeat(2500)}`,
  `https://example.test/${"x".repeat(2500)}`,
  `${"[".repeat(400)}x${"](y)".repeat(40)}`,
  `${">".repeat(400)} deep`,
  `${"*".repeat(600)}`,
  `${"- ".repeat(200)}x`,
  "\`".repeat(501),
];

await journey("hostile text", async (browser, step) => {
  const { alice, bob, room, org } = stage;
  for (const person of [alice, bob]) {
    await rest(person, "PATCH", "/auth/me/", { first_name: VECTORS[1], last_name: VECTORS[3] });
  }
  await rest(alice, "PATCH", `/orgs/${org}/`, { name: VECTORS[0] });
  await rest(alice, "PATCH", `/rooms/${room}/`, { name: VECTORS[1], topic: VECTORS[3] });
  for (const [n, body] of [...VECTORS, ...SLOW].entries()) await rest(n % 2 ? bob : alice, "POST", `/messages/rooms/${room}/`, { body });
  for (const link of [`https://example.test/"><svg/onload=pwned()>.png`, `http://example.test/'onmouseover='pwned()`, `https://example.test/#<img/src/onerror=pwned()>`]) {
    await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "the link", file_url: link });
  }
  const named = [];
  for (const n of [1, 4, 10, 26, 27, 30]) {
    const { id } = await rest(alice, "POST", "/rooms/", { org, name: `${n} ${VECTORS[n]}`.slice(0, 80), topic: VECTORS[n + 20].slice(0, 250), access_level: "PUBLIC" });
    await rest(alice, "PATCH", `/rooms/${id}/settings/`, { section: VECTORS[n + 3].slice(0, 80) });
    named.push(id);
  }
  const answered = await rest(bob, "POST", `/messages/rooms/${room}/`, { body: VECTORS[1] });
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "the last of them", reply_to: answered.id });

  const page = await browser.page(0);
  const noise = [];
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && noise.push(said.text()));
  await page.addInitScript(() => {
    window.ran = 0;
    window.pwned = () => { window.ran += 1; };
    for (const name of ["alert", "confirm", "prompt"]) window[name] = window.pwned;
  });
  const isClean = async (what) => {
    same(await page.evaluate(() => [window.ran, window.violations]), [0, []], `${what}: what ran, and what was reported`);
    // A server that is busy for a moment is asked again: that is not what strangers wrote.
    same(noise.filter((text) => !text.includes("status of 503")), [], `${what}: what the console was told`);
  };
  /** What hovers, focuses or is clicked may run too; nothing may be there that could. */
  const isHarmless = () => timeline(page).evaluate((log) => {
    const bad = [];
    for (const one of log.querySelectorAll(".body *, .author, .day, bdi")) {
      if (/^(script|iframe|object|embed|form|input|button|style|link|meta|base|svg|math|template|img|video|audio|dialog)$/i.test(one.tagName)) bad.push(one.outerHTML.slice(0, 200));
      for (const { name, value } of one.attributes) {
        if (/^(on|srcdoc|formaction|style$|id$|name$)/i.test(name)) bad.push(`${name}: ${one.outerHTML.slice(0, 200)}`);
        if (["href", "src", "xlink:href", "action"].includes(name) && !/^(https?:|mailto:|\/(?!\/)|#)/i.test(value)) bad.push(`${name}=${value}`);
      }
    }
    for (const link of log.querySelectorAll("a[href]")) {
      if (!["http:", "https:", "mailto:"].includes(link.protocol)) bad.push(`${link.protocol} ${link.outerHTML.slice(0, 200)}`);
      link.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
      link.focus({ preventScroll: true });
    }
    if (log.scrollWidth > log.clientWidth + 1) bad.push(`the view is ${log.scrollWidth} wide in ${log.clientWidth}`);
    return bad;
  });
  await enter(page, alice, room);
  await sees(page, "the last of them");
  const seen = new Set();
  await eventually("every message was shown", async () => {
    same((await isHarmless()), [], "what is shown");
    for (const id of await shown(page)) seen.add(id);
    await timeline(page).evaluate((log) => log.scrollBy(0, -900));
    return page.getByText("The beginning of this room.").isVisible();
  }, 60_000);
  check(seen.size >= VECTORS.length + SLOW.length, `${seen.size} messages were shown`);
  await isClean("messages");
  step(`${VECTORS.length} vectors are shown as text`);

  for (const id of named) {
    await goTo(page, `/r/${id}`);
    await page.locator(`.room-link[aria-current][href="/r/${id}"]`).waitFor();
    await page.getByRole("button", { name: "Room options" }).click();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByRole("option").first().waitFor();
    await page.keyboard.press("Escape");
  }
  await goTo(page, `/r/${room}`);
  await sees(page, "the last of them");
  await page.getByRole("button", { name: /members/ }).click();
  await page.getByRole("option").first().waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Search this room" }).click();
  await page.getByRole("searchbox", { name: "Search messages" }).waitFor();
  await page.keyboard.type("pwned");
  await page.getByRole("list", { name: "Results" }).getByRole("listitem").nth(3).waitFor();
  await page.keyboard.press("Escape");
  await composer(page).fill("@<");
  await composer(page).fill(`${VECTORS[1]} @b`);
  await act(page, "the last of them", "Reply (r)");
  await page.keyboard.press("Escape");
  await page.goto(`${page.door.url}/r/1"><svg onload=pwned()>`);
  await page.goto(`${page.door.url}/r/${room}/m/${answered.id}#"><img src onerror=pwned()>`);
  await sees(page, "the last of them");
  await isClean("names, dialogs, addresses");
  step("names of people, rooms, sections and topics, quotes, results and addresses are text too");

  // The screens beside the chat show the same names, and what only they show.
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: `@room ${VECTORS[1]}` });
  const hook = await rest(alice, "POST", "/webhooks/", { org, url: "http://127.0.0.1:9/?x=%22%3E<svg/onload=pwned()>", events: ["message.created"], is_active: false });
  const screens = ["", "/members", "/invites", "/webhooks", `/webhooks/${hook.id}`, "/retention"].map((part) => `/orgs/${org}/settings${part}`);
  for (const address of [...screens, `/r/${room}/settings`, `/r/${room}/settings/members`, "/notifications"]) {
    await goTo(page, address);
    await page.locator(`.screen[data-path="${address}"]`).waitFor();
    await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
    if (address === screens[0]) {
      await page.getByRole("button", { name: "Delete this organization…" }).click();
      await page.getByRole("button", { name: "Cancel" }).click();
    }
  }
  await isClean("the screens beside it");
  step("the screens beside it too");
});
