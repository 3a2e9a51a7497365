// Everything that strangers can name or write, made of what has broken pages before. Nothing of it
// may run, and the policy may have nothing to report.

import { eventually, journey, rest, same, stage } from "./stage.mjs";
import { openRoom, sees, signIn, timeline } from "./ui.mjs";

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
];

await journey("hostile text", async (browser, step) => {
  const { alice, bob, room, org } = stage;
  for (const person of [alice, bob]) {
    await rest(person, "PATCH", "/auth/me/", { first_name: VECTORS[1], last_name: VECTORS[3] });
  }
  await rest(alice, "PATCH", `/orgs/${org}/`, { name: VECTORS[0] });
  await rest(alice, "PATCH", `/rooms/${room}/`, { name: VECTORS[1], topic: VECTORS[3] });
  for (const body of VECTORS) await rest(bob, "POST", `/messages/rooms/${room}/`, { body });
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "the link", file_url: `https://example.test/"><svg/onload=pwned()>.png` });
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "the last of them" });

  const page = await browser.page(0);
  await page.addInitScript(() => {
    window.ran = 0;
    window.pwned = () => { window.ran += 1; };
  });
  await signIn(page, alice);
  await openRoom(page, room);
  await sees(page, "the last of them");
  step(`${VECTORS.length} vectors are shown`);
  // What hovers, focuses or is clicked may run too.
  for (const link of await timeline(page).getByRole("link").all()) {
    const address = await link.getAttribute("href");
    if (address && !/^(https?:|mailto:|\/|#)/i.test(address)) throw new Error(`a link to ${address}`);
    await link.hover({ force: true, noWaitAfter: true }).catch(() => {});
  }
  // The screens beside the chat show the same names, and what only they show.
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: `@room ${VECTORS[1]}` });
  const hook = await rest(alice, "POST", "/webhooks/", { org, url: "http://127.0.0.1:9/?x=%22%3E<svg/onload=pwned()>", events: ["message.created"], is_active: false });
  const screens = ["", "/members", "/invites", "/webhooks", `/webhooks/${hook.id}`, "/retention"].map((part) => `/orgs/${org}/settings${part}`);
  for (const address of [...screens, `/r/${room}/settings`, `/r/${room}/settings/members`, "/notifications"]) {
    await page.evaluate((to) => {
      history.pushState({}, "", to);
      dispatchEvent(new PopStateEvent("popstate"));
    }, address);
    await page.locator(`.screen[data-path="${address}"]`).waitFor();
    await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
    if (address === screens[0]) {
      await page.getByRole("button", { name: "Delete this organization…" }).click();
      await page.getByRole("button", { name: "Cancel" }).click();
    }
  }
  step("the screens beside it too");
  await eventually("the page has settled", () => page.evaluate(() => document.readyState === "complete"));
  same(await page.evaluate(() => [window.ran, window.violations]), [0, []], "what ran, and what was reported");
});
