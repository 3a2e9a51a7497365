// The page's entry: which screen an address is, and who may see it.

import { html, render } from "lit";
import { board, go } from "/state.js";
import "/chat/chat.js";

/** Runs a form's call; says what went wrong. @param {(data: FormData) => Promise<unknown>} call */
const submitted = (call) => async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  const [said, button] = [form.querySelector("[role=alert]"), form.querySelector("button")];
  if (!said || !button) return;
  said.textContent = "";
  button.disabled = true;
  try {
    await call(new FormData(form));
    go("/", { replace: true });
  } catch (error) {
    const { errors = {}, message } = /** @type {import("/chatboard.js").ApiError} */ (error);
    const faults = Object.entries(errors).map(([name, all]) => `${name.replaceAll("_", " ")}: ${all.join(", ")}`);
    said.textContent = faults.join("; ") || message;
  }
  button.disabled = false;
};

const signIn = submitted((data) => board.signIn(String(data.get("email")), String(data.get("password"))));
const register = submitted((data) => board.register(/** @type {any} */ (Object.fromEntries(data))));
const forgot = submitted((data) => board.request("POST", "/auth/password/reset/", { email: data.get("email") }));

const email = html`<label>E-mail<input name="email" type="email" autocomplete="username" required autofocus></label>`;

const gates = {
  "/sign-in": () => html`<main class="gate"><form @submit=${signIn}>
    <h1>ChatBoard</h1>${email}
    <label>Password<input name="password" type="password" autocomplete="current-password" required></label>
    <p role="alert"></p><button>Sign in</button>
    <p><a href="/register">Make an account</a> · <a href="/sign-in/forgotten">Forgot your password?</a></p></form></main>`,
  "/register": () => html`<main class="gate"><form @submit=${register}>
    <h1>Make an account</h1>
    <label>First name<input name="first_name" autocomplete="given-name" maxlength="100"></label>
    <label>Last name<input name="last_name" autocomplete="family-name" maxlength="100"></label>${email}
    <label>Password<input name="password" type="password" autocomplete="new-password" minlength="8" maxlength="128" required></label>
    <p role="alert"></p><button>Make the account</button><p><a href="/sign-in">Sign in instead</a></p></form></main>`,
  "/sign-in/forgotten": () => html`<main class="gate"><form @submit=${forgot}>
    <h1>Forgot your password?</h1><p>We send you a link that sets a new one.</p>${email}
    <p role="alert"></p><button>Send the link</button><p><a href="/sign-in">Back</a></p></form></main>`,
};

function draw() {
  const path = location.pathname.replace(/(.)\/$/, "$1");
  if (!board.user) {
    const gate = gates[/** @type {keyof typeof gates} */ (path)];
    if (!gate) return go("/sign-in", { replace: true });
    document.title = "ChatBoard";
    return render(gate(), document.body);
  }
  if (path in gates) return go("/", { replace: true });
  const [, room = 0, message = 0] = path.match(/^\/r\/(\d+)(?:\/m\/(\d+))?/) ?? [];
  const screen = /^\/(orgs|notifications|profile)\b|^\/r\/\d+\/settings\b/.test(path) ? path : "";
  render(html`<cb-chat .room=${Number(room)} .message=${Number(message)} .screen=${screen}></cb-chat>`, document.body);
}

addEventListener("popstate", draw);
board.addEventListener("user", draw);
document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest?.("a[href]");
  if (!(link instanceof HTMLAnchorElement) || link.target || link.download || event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  if (link.origin !== location.origin || !/^\/(r\/|orgs\/|notifications|profile|sign-in|register|$)/.test(link.pathname)) return;
  event.preventDefault();
  go(link.pathname);
});

document.body.replaceChildren();
await board.restore();
draw();
