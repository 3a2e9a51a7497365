// Every screen, light, dark and on a phone: nothing that axe-core objects to, and the pictures that
// the README shows (written when CHATBOARD_TEST_UPDATE is set).

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isAccessible, journey, rest, stage } from "./stage.mjs";
import { openRoom, sees, signIn } from "./ui.mjs";

const LOOKS = {
  light: { colorScheme: "light", viewport: { width: 1200, height: 760 } },
  dark: { colorScheme: "dark", viewport: { width: 1200, height: 760 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true },
};

await journey("pictures", async (browser, step) => {
  const { alice, bob, carol, room } = stage;
  const says = (person, body, more) => rest(person, "POST", `/messages/rooms/${room}/`, { body, ...more });
  await says(bob, "Morning! The deploy went out at **7:40**, nobody noticed.");
  await says(carol, "That is the best kind of deploy. Numbers?");
  const answer = await says(bob, "```\np50   4 ms\np99  19 ms\n```\nDetails in `bench/results`.");
  await says(alice, "Lovely. I take the rest of the day off then :)");
  await says(carol, "You earned it, @alice. See you at the [retro](https://example.test/retro)?");
  await rest(alice, "POST", `/messages/${answer.id}/reactions/`, { emoji: "🎉" });
  await rest(carol, "POST", `/messages/${answer.id}/reactions/`, { emoji: "🎉" });
  for (const [look, options] of Object.entries(LOOKS)) {
    const page = await browser.page(0, options);
    await page.goto(`${page.door.url}/sign-in`);
    await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    await isAccessible(page, `signing in, ${look}`);
    await signIn(page, alice);
    await openRoom(page, room);
    await sees(page, "See you at the");
    await isAccessible(page, `a room, ${look}`);
    if (stage.update) {
      mkdirSync(stage.images, { recursive: true });
      await page.screenshot({ path: join(stage.images, `room-${look}.png`) });
    }
    await page.context().close();
    step(look);
  }
});
