// Bob writes to Alice: what she is told of comes by itself, opens the message, is marked, says why,
// and her choice of mails is kept.

import { PHONE, check, eventually, isAccessible, journey, looksGoodOnPhone, rest, same, stage } from "./stage.mjs";
import { enter, goTo, sees, send, signIn } from "./ui.mjs";

await journey("notifications", async (browser, step) => {
  const { alice, bob, mallory, org, room } = stage;
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  await Promise.all([signIn(hers, alice), enter(his, bob, room)]);
  const bell = hers.getByRole("link", { name: /^Notifications/ }).first();
  await hers.locator(".room-link, .sections").first().waitFor();
  await bell.click();
  await hers.getByText(/Nothing yet/).waitFor();
  await isAccessible(hers, "no notifications");

  await send(his, `Look at this, @${alice.email}: **now**`);
  const row = hers.locator("[data-notification]");
  await row.filter({ hasText: "Look at this, @Alice: now" }).waitFor();
  await hers.getByRole("link", { name: "Notifications, 1 unread" }).waitFor();
  step("a mention comes by itself");

  const dm = await rest(bob, "POST", "/rooms/dm/", { org, user_ids: [alice.id] });
  await rest(bob, "POST", `/messages/rooms/${dm.id}/`, { body: "And <b this" });
  await row.filter({ hasText: "And <b this" }).waitFor();
  await hers.getByRole("link", { name: "Notifications, 2 unread" }).waitFor();

  const mention = row.filter({ hasText: "Look at this" });
  await mention.getByRole("button", { name: /^Why/ }).click();
  await mention.getByText("Shown here").waitFor();
  await isAccessible(hers, "notifications");
  await mention.getByRole("button", { name: /^Mark as read/ }).click();
  await mention.getByRole("button", { name: /^Mark as unread/ }).waitFor();
  await eventually("the server knows that it is read", async () =>
    (await rest(alice, "GET", "/notifications/unread-count/")).unread_count === 1);
  await hers.getByRole("button", { name: "Unread", exact: true }).click();
  await mention.waitFor({ state: "detached" });
  same(await row.count(), 1, "what is unread");
  step("why it came is said, and reading it is kept");

  await row.getByRole("link").click();
  await hers.waitForURL(new RegExp(`/r/${dm.id}/m/`));
  await sees(hers, "And <b this");
  await hers.getByRole("link", { name: "Notifications", exact: true }).waitFor();
  same((await rest(alice, "GET", "/notifications/unread-count/")).unread_count, 0, "unread after opening it");
  step("it opens its message");

  // Whom it mentions was never seen here: the name is asked for.
  const { token: forMallory } = await rest(alice, "POST", `/orgs/${org}/invite/`, { email: mallory.email });
  await rest(mallory, "POST", "/orgs/accept-invite/", { token: forMallory });
  await hers.getByRole("link", { name: /^Notifications/ }).first().click();
  await hers.getByRole("button", { name: "Mark all as read" }).waitFor();
  await rest(bob, "POST", `/messages/rooms/${dm.id}/`, { body: `ask @${mallory.email}, please` });
  const asking = row.filter({ hasText: "ask @Mallory, please" });
  await asking.getByRole("button", { name: /^Mark as read/ }).click();
  await asking.getByRole("button", { name: /^Mark as unread/ }).waitFor();
  await eventually("nothing is unread", async () => (await hers.getByRole("link", { name: /^Notifications, / }).count()) === 0);

  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: `@${alice.email} once more` });
  await hers.getByRole("link", { name: "Notifications, 1 unread" }).click();
  await hers.getByRole("button", { name: "Mark all as read" }).click();
  await hers.getByText("Marked all as read.").waitFor();
  same((await rest(alice, "GET", "/notifications/?is_read=false")).results, [], "what the server has as unread");
  check(await hers.locator(".unread[data-notification]").count() === 0, "a row is still shown as unread");

  await hers.getByRole("link", { name: "E-mail", exact: true }).click();
  await hers.getByRole("radio", { name: /^Mentions only/ }).check();
  await hers.getByText("Saved.").waitFor();
  same((await rest(alice, "GET", "/auth/me/")).email_notifications, "mentions", "the server's choice of mails");
  await isAccessible(hers, "the choice of mails");
  await hers.reload();
  await hers.getByRole("radio", { name: /^Mentions only/ }).waitFor();
  check(await hers.getByRole("radio", { name: /^Mentions only/ }).isChecked(), "the choice is not shown again");
  await hers.keyboard.press("Escape");
  await hers.waitForURL(/\/r\/\d+/);
  step("all are read, and the choice of mails is kept");

  // The link alone opens an invitation: it went to her mail, and she may paste it.
  const other = await rest(mallory, "POST", "/orgs/", { name: "Her <b>other</b> team" });
  const { token } = await rest(mallory, "POST", `/orgs/${other.id}/invite/`, { email: alice.email });
  await hers.getByRole("link", { name: "Notifications, 1 unread" }).click();
  await row.first().getByRole("button", { name: /^Accept…/ }).click();
  const dialog = hers.getByRole("dialog", { name: "Accept the invitation" });
  await dialog.getByLabel("Link").fill("https://chat.example/invite/?token=another");
  await dialog.getByRole("button", { name: "Accept" }).click();
  await dialog.getByRole("alert").waitFor();
  await isAccessible(hers, "an invitation that is not accepted");
  await dialog.getByLabel("Link").fill(`https://chat.example/invite/?token=${encodeURIComponent(token)}`);
  await dialog.getByRole("button", { name: "Accept" }).click();
  await hers.getByRole("heading", { level: 1, name: "Her <b>other</b> team" }).waitFor();
  same((await rest(alice, "GET", `/orgs/${other.id}/`)).role, "MEMBER", "her role there");
  step("an invitation is accepted by its link");

  // She has no room there, and still sees what she can do.
  await hers.setViewportSize(PHONE.viewport);
  await hers.getByText("No rooms yet.").waitFor();
  await looksGoodOnPhone(hers, "an organization without rooms");
  await hers.getByRole("main").getByRole("button", { name: "Browse rooms" }).click();
  await hers.getByRole("combobox", { name: "Browse rooms" }).waitFor();
  await hers.keyboard.press("Escape");
  await hers.getByRole("button", { name: "Rooms", exact: true }).click();
  await hers.getByRole("link", { name: "Organization settings" }).waitFor();
  await goTo(hers, "/orgs");
  await hers.getByRole("heading", { level: 2, name: "Organizations" }).waitFor();
  await hers.getByRole("button", { name: "Open Her <b>other</b> team" }).waitFor();
  await goTo(hers, `/orgs/${other.id}`);
  await hers.getByRole("heading", { level: 2, name: "General" }).waitFor();
  step("where one has no room, one sees what to do");
});
