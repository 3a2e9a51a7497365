// Every screen beside the chat, light, dark and on a phone: nothing that axe-core objects to, nothing
// wider than the window, and the keys that lead there and back.

import { check, isAccessible, journey, rest, stage } from "./stage.mjs";
import { composer, openRoom, signIn } from "./ui.mjs";

const LOOKS = {
  light: { colorScheme: "light", viewport: { width: 1200, height: 760 } },
  dark: { colorScheme: "dark", viewport: { width: 1200, height: 760 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true },
};

/** Screens beside the chat, and what each shows once it is there. */
const SCREENS = ({ org, room }) => [
  [`/orgs/${org}/settings`, "General"], [`/orgs/${org}/settings/members`, "Members"], [`/orgs/${org}/settings/invites`, "Invitations"],
  [`/orgs/${org}/settings/webhooks/new`, "New webhook"], [`/orgs/${org}/settings/retention`, "Retention"],
  [`/r/${room}/settings`, "Room"], [`/r/${room}/settings/members`, "Members"], ["/notifications", "Notifications"], ["/notifications/mails", "E-mail"], ["/orgs/new", "A new organization"],
  ["/profile", "Password"], ["/profile/devices", "Devices"], ["/profile/orgs", "Organizations"],
];

/** Goes on within the page, as a link does. */
const goTo = (page, address) => page.evaluate((to) => {
  history.pushState({}, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
}, address);

await journey("screens", async (browser, step) => {
  const { alice, bob, room } = stage;
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: `A word, @${alice.email}` });
  for (const [look, options] of Object.entries(LOOKS)) {
    const page = await browser.page(0, options);
    await signIn(page, alice);
    for (const [address, name] of SCREENS(stage)) {
      await goTo(page, address);
      await page.getByRole("heading", { name }).first().waitFor();
      await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
      await isAccessible(page, `${address}, ${look}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(wide <= 0, `${address}, ${look}: ${wide} pixels too wide`);
    }
    await page.context().close();
    step(look);
  }

  const page = await browser.page(0);
  await signIn(page, alice);
  await openRoom(page, room);
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
  step("keys lead there and back, and so does the browser");
});
