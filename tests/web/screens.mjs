// Every screen beside the chat, and a room as people keep it open: light, dark, enlarged and on a
// phone, nothing that axe-core objects to, nothing wider than the window; the keys that lead there and
// back. The pictures that the README shows are made here (when CHATBOARD_TEST_UPDATE is set).

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DESKTOP, PHONE, isAccessible, journey, looksGood, looksGoodOnPhone, rest, stage } from "./stage.mjs";
import { composer, enter, goTo, sees } from "./ui.mjs";

/** Screens beside the chat, and what each shows once it is there. */
const SCREENS = ({ org, room }) => [
  [`/orgs/${org}/settings`, "General"], [`/orgs/${org}/settings/members`, "Members"], [`/orgs/${org}/settings/invites`, "Invitations"],
  [`/orgs/${org}/settings/webhooks/new`, "New webhook"], [`/orgs/${org}/settings/retention`, "Retention"],
  [`/r/${room}/settings`, "Room"], [`/r/${room}/settings/members`, "Members"], ["/notifications", "Notifications"], ["/notifications/mails", "E-mail"], ["/orgs/new", "New organization"],
  ["/profile", "Password"], ["/profile/devices", "Devices"], ["/profile/orgs", "Organizations"],
];

/** A room at its best. */
async function talk() {
  const { alice, bob, carol, room } = stage;
  const says = (person, body) => rest(person, "POST", `/messages/rooms/${room}/`, { body });
  await says(bob, `Morning! The deploy went out at **7:40**, nobody noticed.`);
  await says(carol, "That is the best kind of deploy. Numbers?");
  const answer = await says(bob, "```\np50   4 ms\np99  19 ms\n```\nDetails in `bench/results`.");
  await says(alice, "Lovely. I take the rest of the day off then :)");
  await says(carol, "You earned it, @alice. See you at the [retro](https://example.test/retro)?");
  for (const person of [alice, carol]) await rest(person, "POST", `/messages/${answer.id}/reactions/`, { emoji: "🎉" });
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
