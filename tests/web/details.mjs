// Small things that are seen every day: dates, colours, icons, what is remembered, what keys do, and what
// is said of a link that does not work.

import { DESKTOP, check, eventually, isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { act, composer, enter, goTo, mailLink, message, room as roomLink, sees, send } from "./ui.mjs";

const iconLink = (page) => page.evaluate(() => document.querySelector("link[rel=icon]").href);
const heading = (page, name) => page.getByRole("heading", { name, level: 1 });
const folder = (page, name) => page.getByRole("navigation", { name: "Rooms" }).getByRole("button", { name, exact: true });
/** The drawing that stands before a room in the list. */
const drawing = (page, name) => roomLink(page, name).locator("svg").first().innerHTML();

/** What is said before anyone signs in. */
async function links(page) {
  const { alice } = stage;
  for (const path of ["/reset/", "/invite/?token=", "/verify-email/"]) {
    await page.goto(page.door.url + path);
    await page.getByRole("heading", { name: "This link is incomplete" }).waitFor();
  }
  await page.goto(`${page.door.url}/reset/?token=not-one-of-ours`);
  await page.getByRole("alert").filter({ hasText: "This link was used before, or is older than an hour." }).waitFor();
  await isAccessible(page, "a link that does not work");
  await page.goto(`${page.door.url}/invite/?token=not-one-of-ours`);
  await page.getByText("This invitation was withdrawn, or its link is not complete.").waitFor();
  await fetch(`${stage.api}/api/v1/auth/password/reset/`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email: alice.email }) });
  const answered = page.waitForResponse((answer) => answer.url().includes("/password/reset/confirm/"));
  await page.goto(page.door.url + (await mailLink(alice.email, /^\/reset/)));
  const { errors } = await (await answered).json();
  same(Object.keys(errors), ["new_password"], "what is wrong with a link that works: the password is not there yet");
  same(await page.getByRole("alert").count(), 0, "nothing is said of a link that works");
}

/** Dates are English where the browser is not, and have no more than they need. */
async function dates(browser) {
  const { alice, org, room } = stage;
  const page = await browser.page(0, { ...DESKTOP, locale: "de-DE" });
  await enter(page, alice, room);
  await sees(page, "the first of them");
  const month = new Intl.DateTimeFormat("en-GB", { month: "long" }).format(new Date());
  const title = await message(page, "the first of them").locator("a.when").getAttribute("title");
  check(new RegExp(`^\\d+ ${month} \\d{4} at \\d\\d:\\d\\d$`).test(title), `a date in English: ${title}`);
  await goTo(page, `/orgs/${org}/settings`);
  await page.getByText(new RegExp(`^Created on \\d+ ${month} \\d{4}\\. You are an admin\\.$`)).waitFor();
  await goTo(page, `/orgs/${org}/settings/members`);
  await page.getByLabel("Role of Alice").selectOption("MEMBER");
  const fault = page.locator(".failed[role=alert]");
  await fault.waitFor();
  same(await fault.evaluate((one) => getComputedStyle(one).color), "rgb(194, 39, 39)", "the colour of an error");
  await goTo(page, "/orgs/999999");
  await page.waitForURL("**/orgs/999999/settings");
  await eventually("the title of what is not there", async () => (await page.title()) === "Nothing here · ChatBoard");
  await page.context().close();
}

/** What is folded stays so, and hides nothing that asks for attention. */
async function folds(page, other) {
  const { bob, room } = stage;
  await roomLink(page, "general").click();
  await heading(page, "general").waitFor();
  await folder(page, "Rooms").focus();
  await page.keyboard.press("Enter");
  same(await folder(page, "Rooms").getAttribute("aria-expanded"), "false", "the section is folded");
  await roomLink(page, other.name).waitFor({ state: "detached" });
  check(await roomLink(page, "general").isVisible(), "the room that is looked at is shown");
  await isAccessible(page, "a folded section");
  await page.reload();
  await sees(page, "the first of them");
  same(await roomLink(page, other.name).count(), 0, "it stays folded");
  check((await iconLink(page)).includes("/icons/icon.svg?v="), "nothing asks for attention yet");
  await rest(bob, "POST", `/messages/rooms/${other.id}/`, { body: "@room look here" });
  await roomLink(page, other.name).waitFor();
  const address = await eventually("the sign on the tab", async () => (await iconLink(page)).match(/.*icon-unread\.svg\?v=[0-9a-f]+$/)?.[0]);
  same((await fetch(address)).headers.get("cache-control"), "public, max-age=31536000, immutable", "how the icon is kept");
  await roomLink(page, other.name).click();
  await sees(page, "look here");
  await eventually("the sign is gone", async () => (await iconLink(page)).includes("/icons/icon.svg?v="));
  await folder(page, "Rooms").click();
  await roomLink(page, "keepers").waitFor();
  await goTo(page, `/r/${room}`);
  await heading(page, "general").waitFor();
}

/** Each organization begins where one was in it. */
async function remembers(page, other) {
  const { alice } = stage;
  const second = await rest(alice, "POST", "/orgs/", { name: "Second" });
  for (const name of ["alpha", "beta"]) await rest(alice, "POST", "/rooms/", { org: second.id, name });
  await page.reload();
  const menu = page.getByRole("combobox", { name: "Organization" });
  await roomLink(page, other.name).click();
  await heading(page, other.name).waitFor();
  await menu.selectOption({ label: "Second" });
  await heading(page, "alpha").waitFor();
  await roomLink(page, "beta").click();
  await heading(page, "beta").waitFor();
  await menu.selectOption({ index: 0 });
  await heading(page, other.name).waitFor();
  await menu.selectOption({ index: 1 });
  await heading(page, "beta").waitFor();
  await page.goBack();
  await heading(page, other.name).waitFor();
  // What was said and shown of one organization is not of the other.
  await goTo(page, `/orgs/${second.id}/settings/invites`);
  await page.getByLabel("E-mail").fill("someone@chat.test");
  await page.getByRole("button", { name: "Invite", exact: true }).click();
  await page.getByLabel("Link").waitFor();
  await page.getByLabel("E-mail").fill(alice.email);
  await page.getByRole("button", { name: "Invite", exact: true }).click();
  await page.getByRole("alert").waitFor();
  await goTo(page, `/orgs/${stage.org}/settings/invites`);
  await page.getByText("No open invitations.").waitFor();
  same([await page.getByLabel("Link").count(), await page.getByRole("alert").count()], [0, 0], "what is left of another organization");
  await goTo(page, `/r/${other.id}`);
  await heading(page, other.name).waitFor();
}

/** People are shown as online from the first moment on. */
async function online(page) {
  const { bob, room } = stage;
  await page.evaluate((id) => {
    window.wasOffline = false;
    new MutationObserver(() => {
      const row = document.querySelector(`li[data-user="${id}"]`);
      if (row && !row.querySelector(".dot-on")) window.wasOffline = true;
    }).observe(document.body, { childList: true, subtree: true, attributes: true });
  }, bob.id);
  await goTo(page, `/r/${room}/settings/members`);
  await page.locator(`li[data-user="${bob.id}"] .dot-on`).waitFor();
  check(!(await page.evaluate(() => window.wasOffline)), "nobody who is online is shown as offline");
  await goTo(page, `/r/${room}`);
  await heading(page, "general").waitFor();
}

/** A muted room says so, and keeps its menu. */
async function muted(page) {
  for (const [label, isMuted] of [["Nothing (mute)", true], ["All messages", false]]) {
    await page.getByRole("button", { name: "Room options" }).click();
    await page.getByRole("menuitemradio", { name: label }).click();
    await page.getByRole("button", { name: "Room options" }).click();
    await page.getByRole("menuitemradio", { name: label, checked: true }).waitFor();
    await page.keyboard.press("Escape");
    await eventually("the list says whether it is muted", async () => (await roomLink(page, "general").evaluate((one) => one.classList.contains("muted"))) === isMuted);
  }
  // Of two choices the last one stays: it is sent when the first is saved, however long that takes.
  let [release, sent, saved] = [() => {}, 0, 0];
  const released = new Promise((done) => { release = () => done(undefined); });
  await page.route("**/settings/", async (route) => {
    sent++;
    await released;
    await route.continue();
  });
  page.on("response", (response) => { if (response.request().method() === "PATCH" && response.url().endsWith("/settings/")) saved++; });
  for (const label of ["Nothing (mute)", "All messages"]) {
    await page.getByRole("button", { name: "Room options" }).click();
    await page.getByRole("menuitemradio", { name: label }).click();
  }
  await page.getByRole("button", { name: "Room options" }).click();
  await page.getByRole("menuitemradio", { name: "All messages", checked: true }).waitFor();
  same(sent, 1, "requests while the first is on its way");
  release();
  await eventually("both are saved", async () => saved === 2);
  await page.getByRole("menuitemradio", { name: "All messages", checked: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.unroute("**/settings/");
}

/** The keys of the browser stay the browser's. */
async function keys(page) {
  await page.evaluate(() => {
    window.taken = {};
    addEventListener("keydown", (event) => { window.taken[`${event.shiftKey ? "Shift+" : ""}${event.key.toLowerCase()}`] = event.defaultPrevented; });
  });
  await composer(page).fill("words");
  await composer(page).selectText();
  for (const key of ["B", "E", "I"]) await composer(page).press(`Control+Shift+${key}`);
  same(await page.evaluate(() => ["Shift+b", "Shift+e", "Shift+i"].map((key) => window.taken[key])), [false, false, false], "whether keys of the browser are taken");
  same(await composer(page).inputValue(), "words", "what they write");
  await composer(page).press("Control+b");
  await eventually("they are bold", async () => (await composer(page).inputValue()) === "**words**");
  await composer(page).fill("");
}

/** What is said of copying is true. */
async function copying(page) {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: page.door.url });
  await act(page, "the first of them", "Copy link");
  await page.getByText("Link copied", { exact: true }).waitFor({ state: "attached" });
  // As on an address without TLS, in a browser that lets no script copy.
  await page.evaluate(() => {
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    document.execCommand = () => false;
  });
  await act(page, "the first of them", "Copy link");
  await page.getByRole("alert").filter({ hasText: "Link couldn't be copied" }).waitFor();
}

await journey("details", async (browser, step) => {
  const { alice, bob, org, room } = stage;
  const other = await rest(alice, "POST", "/rooms/", { org, name: "harbour", auto_join: true });
  await rest(alice, "POST", "/rooms/", { org, name: "keepers", access_level: "MANAGER_ONLY" });
  await rest(alice, "POST", "/rooms/", { org, name: "secret", access_level: "PRIVATE" });
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "the first of them" });
  const his = await browser.page(1);
  await links(his);
  step("links that do not work are told at once, and those that do are not used up by looking");
  await dates(browser);
  step("dates are English and short, errors red, what is not there has a title of its own");

  await enter(his, bob, room);
  const page = await browser.page(0, DESKTOP);
  await enter(page, alice, room);
  await sees(page, "the first of them");
  const drawings = new Set(await Promise.all(["general", "keepers", "secret"].map((name) => drawing(page, name))));
  same(drawings.size, 3, "icons of rooms for all, for managers, by invitation");
  await online(page);
  await muted(page);
  step("icons, presence and the menu of a muted room");
  await folds(page, other);
  await remembers(page, other);
  step("sections fold, each organization remembers its room");
  await goTo(page, `/r/${room}`);
  await heading(page, "general").waitFor();
  await keys(page);
  await copying(page);
  step("keys of the browser, and what is said of copying");

  await page.context().setOffline(true);
  page.door.shut();
  for (const n of [1, 2, 3]) await send(page, `waits ${n}`);
  await page.getByText("You're offline. 3 messages will be sent when you reconnect.").waitFor();
  page.door.unshut();
  await page.context().setOffline(false);
  for (const n of [1, 2, 3]) await sees(his, `waits ${n}`);
  step("the banner counts what waits");
});
