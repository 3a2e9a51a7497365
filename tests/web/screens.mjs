// Every screen beside the chat, and a room as people keep it open: light, dark, enlarged and on a
// phone, nothing that axe-core objects to, nothing wider than the window; the keys that lead there and
// back. The pictures that the README shows are made here (when CHATBOARD_TEST_UPDATE is set).

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DESKTOP, PHONE, check, eventually, isAccessible, journey, looksGood, looksGoodOnPhone, rest, stage } from "./stage.mjs";
import { composer, enter, goTo, sees } from "./ui.mjs";

/** Screens beside the chat, and what each shows once it is there. */
const SCREENS = ({ org, room }) => [
  [`/orgs/${org}/settings`, "General"], [`/orgs/${org}/settings/members`, "Members"], [`/orgs/${org}/settings/invites`, "Invitations"],
  [`/orgs/${org}/settings/webhooks/new`, "New webhook"], [`/orgs/${org}/settings/retention`, "Retention"],
  [`/r/${room}/settings`, "Room"], [`/r/${room}/settings/members`, "Members"], ["/notifications", "Notifications"], ["/notifications/desktop", "Desktop"], ["/notifications/mails", "E-mail"], ["/orgs/new", "New organization"],
  ["/profile", "Password"], ["/profile/devices", "Devices"], ["/profile/orgs", "Organizations"],
];

/** Stores a file for somebody; returns its id. */
async function stores(person, filename, content_type, bytes) {
  const { id, upload_url: to, headers } = await rest(person, "POST", "/uploads/presign/", { filename, content_type, file_size: bytes.length });
  const answer = await fetch(to, { method: "PUT", headers, body: bytes });
  check(answer.ok, `the store takes ${filename}: ${answer.status}`);
  await rest(person, "POST", `/uploads/${id}/complete/`);
  await eventually(`the size of ${filename} is known`, async () => (await rest(person, "GET", `/uploads/${id}/`)).width);
  return id;
}

/** A room at its best: people with names, a table, a picture, an answer, a decision. */
async function talk() {
  const { alice, bob, carol, org, room } = stage;
  const named = [[alice, "Ada", "Lovelace"], [bob, "Grace", "Hopper"], [carol, "Alan", "Turing"]];
  for (const [person, first_name, last_name] of named) await rest(person, "PATCH", "/auth/me/", { first_name, last_name });
  await rest(alice, "PATCH", `/rooms/${room}/`, { topic: "What everyone should know" });
  for (const name of ["engineering", "random"]) await rest(alice, "POST", "/rooms/", { org, name, auto_join: true });
  for (const other of [bob, carol]) await rest(alice, "POST", "/rooms/dm/", { org, user_ids: [other.id] });
  const says = (person, body, more) => rest(person, "POST", `/messages/rooms/${room}/`, { body, ...more });
  const reacts = (message, emoji, ...people) => Promise.all(people.map((one) => rest(one, "POST", `/messages/${message.id}/reactions/`, { emoji })));
  await says(bob, "Morning! @Alan.Turing did you get to measure the new search?");
  const bytes = readFileSync(join(stage.images, "../../common/devstack/src/demo/search.png"));
  const measured = await says(carol, "Yes. Grey is what customers have today, blue is staging.", { upload_id: await stores(carol, "search-p95.png", "image/png", bytes) });
  await reacts(measured, "🎉", alice, bob);
  await reacts(measured, "🚀", bob);
  await says(alice, "Can we say “five times faster” without anyone feeling cheated?", { reply_to: measured.id });
  await says(carol, "| Query | before | after |\n|:--|--:|--:|\n| short words | 250 ms | **51 ms** |\n| sentences | 410 ms | **46 ms** |");
  const decided = await says(bob, "Then it's decided: we release on **Thursday** at 10:00. See you at the [retro](https://example.test/retro)?");
  await reacts(decided, "✅", alice, carol);
}

async function picture(page, name) {
  if (!stage.update) return;
  mkdirSync(stage.images, { recursive: true });
  await page.screenshot({ path: join(stage.images, `room-${name}.png`) });
}

async function visits(page, look) {
  for (const [address, name] of SCREENS(stage)) {
    await goTo(page, address);
    await page.getByRole("heading", { name }).first().waitFor();
    await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
    await look(page, address);
  }
}

await journey("screens", async (browser, step) => {
  const { alice, room } = stage;
  await talk();
  const page = await browser.page(0, DESKTOP);
  await page.goto(`${page.door.url}/sign-in`);
  await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  await looksGood(page, "signing in");
  await enter(page, alice, room);
  await sees(page, "See you at the");
  await looksGood(page, "a room");
  await page.locator(".picture img").evaluate((image) => image.decode());
  await page.mouse.move(0, 0);
  await picture(page, "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(page, "dark");
  await page.emulateMedia({ colorScheme: "light" });
  step("a room, light and dark");

  await page.getByRole("link", { name: "Organization settings" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: "General" }).waitFor();
  await page.getByRole("link", { name: "Members", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: "Members" }).waitFor();
  await page.keyboard.press("Escape");
  await composer(page).waitFor();
  await page.goBack();
  await page.getByRole("heading", { level: 2, name: "Members" }).waitFor();
  step("keys lead to the screens and back, and so does the browser");
  await visits(page, looksGood);
  await page.context().close();
  step("every screen, light, dark and enlarged");

  const phone = await browser.page(1, PHONE);
  await enter(phone, alice, room);
  await sees(phone, "See you at the");
  await isAccessible(phone, "a room on a phone");
  await picture(phone, "phone");
  await visits(phone, looksGoodOnPhone);
  step("every screen on a phone");
});
