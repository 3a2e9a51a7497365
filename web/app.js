// The page's entry: which screen an address is, and who may see it. What is not the chat comes when
// it is needed.

import { html, render } from "lit";
import { board, go } from "/state.js";
import "/chat/chat.js";

/** What stands before the chat: signing in, and where links in mails lead. */
const GATE = /^\/(sign-in|register|invite|reset|verify-email)(\/|$)/;
let turn = 0;
/** What was shown last beside a search. */
let last = { room: 0, message: 0, screen: "" };

async function draw() {
  const mine = ++turn;
  const path = location.pathname.replace(/(.)\/$/, "$1");
  const isGate = GATE.test(path);
  // Addresses that people shorten, or type.
  if (path === "/settings") return go("/profile", { replace: true });
  if (/^\/orgs(\/\d+)?$/.test(path)) return go(path === "/orgs" ? "/profile/orgs" : `${path}/settings`, { replace: true });
  if (!board.user && !isGate) return go(path === "/" ? "/sign-in" : `/sign-in?to=${encodeURIComponent(path + location.search)}`, { replace: true });
  if (isGate) {
    last = { room: 0, message: 0, screen: "" };
    const isLink = /^\/(invite|reset|verify)/.test(path);
    const gate = await import("/screens/gate.js").then(async (part) => {
      if (isLink) await import("/screens/links.js");
      return part;
    }).catch(() => null);
    if (mine !== turn) return;
    if (!gate) return render(html`<p class="empty" role="alert">This could not be loaded. <button @click=${() => location.reload()}>Try again</button></p>`, document.body);
    if (board.user && !isLink) return go(gate.destination(), { replace: true });
    return render(isLink ? html`<cb-link-gate .path=${path}></cb-link-gate>` : html`<cb-gate .path=${path}></cb-gate>`, document.body);
  }
  const isSearch = path === "/search";
  if (!isSearch) {
    const [, room = 0, message = 0] = path.match(/^\/r\/(\d+)(?:\/m\/(\d+))?/) ?? [];
    const screen = /^\/(orgs|notifications|profile)\b|^\/r\/\d+\/settings\b/.test(path) ? path : "";
    last = { room: Number(room), message: Number(message), screen };
  }
  const { room, message, screen } = last;
  render(html`<cb-chat .room=${room} .message=${message} .screen=${screen} .searching=${isSearch ? location.search : null} .lost=${!screen && !room && path !== "/" && !isSearch}></cb-chat>`, document.body);
}

addEventListener("popstate", draw);
board.addEventListener("user", draw);
document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest?.("a[href]");
  if (!(link instanceof HTMLAnchorElement) || link.target || link.download || event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  if (link.origin !== location.origin || !/^\/(r\/|sign-in|register|invite|reset|verify-email|orgs|profile|notifications|search|$)/.test(link.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

document.body.replaceChildren();
// Who is known is believed at once; the server may take its time to say otherwise.
const restored = board.restore();
if (!board.user) await restored;
draw();
