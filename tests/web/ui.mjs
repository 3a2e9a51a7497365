// How people use the page: the one place that knows what it looks like. What it finds, it finds
// as they do: by role and name.

import { check, eventually, history, same, stage } from "./stage.mjs";

/** Opens the page and signs in as a person does, who is led on to where they wanted to go. */
export async function signIn(page, person, to = "/") {
  await page.goto(`${page.door.url}/sign-in?to=${encodeURIComponent(to)}`);
  await page.getByLabel(/e-?mail/i).fill(person.email);
  await page.getByLabel("Password", { exact: true }).fill(person.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
}

export const composer = (page, what = "Message") => page.getByRole("textbox", { name: new RegExp(`^${what}`) });
/** A room in the list of rooms. */
export const room = (page, name) => page.getByRole("navigation", { name: "Rooms" }).getByRole("link", { name });
export const timeline = (page) => page.getByRole("log");

export async function openRoom(page, room) {
  await page.goto(`${page.door.url}/r/${room}`);
  await composer(page).waitFor();
}

/** Signs in, on the way to a room. */
export async function enter(page, person, room) {
  await signIn(page, person, `/r/${room}`);
  await composer(page).waitFor();
}

/** Goes on within the page, as a link does. */
export const goTo = (page, address) => page.evaluate((to) => {
  history.pushState({}, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
}, address);

/** Another tab of the same browser. */
export async function tabOf(page) {
  const tab = await page.context().newPage();
  tab.door = page.door;
  return tab;
}

export async function send(page, text) {
  await composer(page).fill(text);
  await composer(page).press("Enter");
}

/** The message that says this, once it is confirmed by the server. */
export const message = (page, text) => timeline(page).locator("[data-message]").filter({ has: page.locator(".body", { hasText: text }) }).last();

export const sees = async (page, text) => message(page, text).waitFor();

/** Presses a button of a message, which has buttons only while one points at it. */
export async function act(page, text, button) {
  await message(page, text).locator("article").hover();
  await message(page, text).getByRole("button", { name: button, exact: true }).click();
}

/** The ids of the messages that are shown and not deleted, from top to bottom. */
export const shown = (page) => timeline(page).locator("[data-message]").evaluateAll((all) =>
  all.filter((one) => !one.querySelector(".deleted")).map((one) => Number(one.dataset.message)));

/** Waits until the page shows the last of what the server has, in its order, each once. */
export async function agreesWithServer(page, person, room, name) {
  const expected = (await history(person, room)).map(({ id }) => id);
  await eventually(`${name} sees what the server has`, async () => (await shown(page)).at(-1) === expected.at(-1));
  const found = await shown(page);
  check(found.length > 0, `${name} sees nothing`);
  same(found, expected.slice(-found.length), `${name}'s history`);
  return found.length;
}

/** Where the link in a mail to somebody leads that matches: its path and query. */
export async function mailLink(email, pattern) {
  const get = async (path) => (await fetch(stage.mails + path)).text();
  return eventually(`a mail to ${email}`, async () => {
    for (const [, mail] of (await get("/")).matchAll(/href="(\/mails\/\d+\/)"/g)) {
      if (!(await get(mail)).includes(email)) continue;
      for (const [, url] of (await get(`${mail}html`)).matchAll(/href="([^"]+)"/g)) {
        const { pathname, search } = new URL(url.replaceAll("&amp;", "&"));
        if (pattern.test(pathname)) return pathname + search;
      }
    }
    return null;
  });
}

/** Whether a message lies inside what is seen of the timeline. */
export const isInView = (page, id) => page.locator(`#m-${id}`).evaluate((one) => {
  const [box, view] = [one.getBoundingClientRect(), one.closest("[role=log]").getBoundingClientRect()];
  return box.bottom > view.top && box.top < view.bottom;
});
