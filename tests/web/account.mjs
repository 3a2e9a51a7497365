// One's account: from the invite in a mail to its end. What links in mails lead to is the page.

import { check, eventually, isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { composer, goTo, mailLink, signIn, tabOf } from "./ui.mjs";

const dave = { email: `dave.${Date.now()}@chat.test`, password: "correct horse battery" };
const NEW = "another horse, another staple";

/** Fills the fields that bear these labels. */
async function fill(page, fields) {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
}

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const saysAlert = (page, text) => page.getByRole("alert").filter({ hasText: text }).first().waitFor();

await journey("account", async (browser, step) => {
  const { alice, mallory, org, room } = stage;
  await rest(alice, "POST", `/orgs/${org}/invite/`, { email: dave.email });
  const invite = await mailLink(dave.email, /\/invite\//);

  const his = await browser.page(1, { colorScheme: "dark" });
  await his.goto(his.door.url + invite);
  await his.getByRole("heading", { name: "You're invited" }).waitFor();
  await his.getByText(`Alice invited ${dave.email} to join`).waitFor();
  same(await his.getByLabel("E-mail").inputValue(), dave.email, "the address that is invited");
  await isAccessible(his, "an invite");
  await fill(his, { "First name": "Dave", "Last name": "Hopper", Password: "password1" });
  await press(his, "Create account and join");
  await his.locator("#invite-password[aria-invalid=true]").waitFor();
  await his.getByText("The password is too common: choose another one.").waitFor();
  await fill(his, { Password: dave.password });
  await press(his, "Create account and join");
  await composer(his).or(his.getByText("Choose a room")).first().waitFor();
  const members = await rest(alice, "GET", `/orgs/${org}/members/?search=${dave.email}`);
  same(members.results.map((one) => one.user_email), [dave.email], "members");
  step("an invite makes an account and a member");

  const hers = await browser.page(0);
  await signIn(hers, mallory);
  const { token } = await rest(alice, "POST", `/orgs/${org}/invite/`, { email: "erin@chat.test" });
  await hers.goto(`${hers.door.url}/invite/?token=${encodeURIComponent(token)}`);
  await saysAlert(hers, "another address");
  same(await hers.getByRole("button", { name: "Accept invitation" }).count(), 0, "ways to accept another's invitation");
  const other = await tabOf(hers);
  await other.goto(hers.door.url);
  await other.getByText("You aren't in an organization yet.").or(other.getByRole("link", { name: "Organization settings" })).first().waitFor();
  await press(hers, "Use another account");
  await saysAlert(hers, `This signs ${mallory.email} out in all tabs of this browser.`);
  check(await other.evaluate(() => Boolean(localStorage.getItem("chatboard.login"))), "asking signs nobody out");
  await press(hers, "Cancel");
  await press(hers, "Use another account");
  await isAccessible(hers, "the question before signing out");
  await press(hers, "Sign out");
  await hers.getByRole("button", { name: "Create account and join" }).waitFor();
  await other.getByRole("status").filter({ hasText: "You signed out in another tab." }).waitFor();
  await other.close();
  await hers.getByRole("radio", { name: "Sign in" }).check();
  await hers.getByRole("link", { name: "Forgot your password?" }).waitFor();
  await hers.getByRole("radio", { name: "Create account" }).check();
  same(await hers.getByLabel("E-mail").inputValue(), "erin@chat.test", "the address that is invited");
  await signIn(hers, mallory);
  await rest(alice, "POST", `/orgs/${org}/invite/`, { email: mallory.email, role: "MANAGER" });
  await hers.goto(hers.door.url + await mailLink(mallory.email, /\/invite\//));
  const unread = () => rest(mallory, "GET", "/notifications/unread-count/").then((answer) => answer.unread_count);
  await eventually("she is notified", async () => (await unread()) === 1);
  await press(hers, "Accept invitation");
  await hers.waitForURL((url) => !url.pathname.startsWith("/invite"));
  await hers.getByRole("status").filter({ hasText: "You joined Acme." }).waitFor();
  await eventually("the notification is read", async () => (await unread()) === 0);
  await hers.getByRole("link", { name: "Organization settings" }).waitFor();
  same((await rest(mallory, "GET", `/orgs/${org}/`)).role, "MANAGER", "her role");
  await hers.goto(hers.door.url + invite);
  await hers.getByText("accepted before").waitFor();
  step("an invite is for one person, once");

  // Signing in leads nowhere but here.
  await hers.evaluate(() => localStorage.clear());
  await hers.goto(`${hers.door.url}/sign-in?to=${encodeURIComponent("//evil.example/")}`);
  await fill(hers, { "E-mail": mallory.email, Password: mallory.password });
  await press(hers, "Sign in");
  await hers.waitForURL((url) => url.origin === hers.door.url && !url.pathname.startsWith("/sign-in"));

  // A link to what needs a login leads there after it.
  await hers.evaluate(() => localStorage.clear());
  await hers.goto(`${hers.door.url}/profile`);
  await hers.waitForURL(/sign-in\?to=/);
  await fill(hers, { "E-mail": dave.email, Password: "not his password" });
  await press(hers, "Sign in");
  await saysAlert(hers, /^Wrong e-mail or password\.$/);
  await hers.getByRole("link", { name: "Forgot your password?" }).click();
  await isAccessible(hers, "a forgotten password");
  await fill(hers, { "E-mail": dave.email });
  await press(hers, "Send reset link");
  await hers.getByRole("heading", { name: "Check your e-mail" }).waitFor();
  const reset = await mailLink(dave.email, /\/reset\//);
  await hers.goto(hers.door.url + reset);
  await hers.getByRole("heading", { name: "Choose a new password" }).waitFor();
  await isAccessible(hers, "a reset");
  await fill(hers, { "New password": NEW });
  await press(hers, "Save password");
  await hers.getByText("All your devices have been signed out").waitFor();
  await his.waitForURL(/sign-in/);
  await his.getByRole("status").filter({ hasText: "You were signed out from another device, or your password was changed." }).waitFor();
  await isAccessible(his, "signing in again");
  await hers.goto(hers.door.url + reset);
  await fill(hers, { "New password": "a third password" });
  await press(hers, "Save password");
  await saysAlert(hers, "used before");
  step("a mail sets a new password, once, and signs out all devices");

  await hers.goto(`${hers.door.url}/profile`);
  await fill(hers, { "E-mail": dave.email, Password: NEW });
  await press(hers, "Sign in");
  await hers.getByRole("heading", { name: "Your account", exact: true }).waitFor();
  check(hers.url().endsWith("/profile"), `signing in leads back: ${hers.url()}`);
  await hers.getByLabel("First name").waitFor();
  await isAccessible(hers, "a profile");
  await fill(hers, { "First name": " ", "Last name": "" });
  await press(hers, "Save");
  await saysAlert(hers, "Your name can't be empty.");
  await fill(hers, { "First name": "<b>David</b>", "Last name": "Hopper" });
  await press(hers, "Save");
  await hers.getByRole("heading", { name: "<b>David</b> Hopper" }).waitFor();
  await fill(hers, { "Current password": "wrong password", "New password": dave.password });
  await press(hers, "Change the password");
  await hers.locator("#password-current_password[aria-invalid=true]").waitFor();
  await saysAlert(hers, /^Your current password is wrong\.$/);
  await fill(hers, { "Current password": NEW });
  await press(hers, "Change the password");
  await hers.getByText("Your other devices are signed out.").first().waitFor();
  step("names and passwords change; what is wrong stands at its field");

  await signIn(his, dave);
  await hers.getByRole("link", { name: "Devices" }).click();
  await hers.getByText("This device").waitFor();
  await isAccessible(hers, "devices");
  await hers.getByRole("button", { name: /^Sign out .* on / }).first().click();
  await his.waitForURL(/sign-in/);
  await eventually("one device is left", async () => await hers.locator(".rows > li").count() === 1);
  step("a device is signed out from another");

  // What is left on a device that one leaves: nothing that can be read.
  await signIn(his, dave, `/r/${room}`);
  await composer(his).fill("half a thought");
  await his.context().setOffline(true);
  browser.doors[1].shut();
  await composer(his).press("Enter");
  await his.getByText("half a thought").waitFor();
  await composer(his).fill("another half");
  browser.doors[1].unshut();
  browser.doors[1].isMute = true;
  await his.context().setOffline(false);
  await goTo(his, "/profile");
  await press(his, "Sign out");
  await his.getByText("A message has not been sent.").waitFor();
  await his.getByRole("dialog").getByRole("button", { name: "Sign out", exact: true }).click();
  await his.waitForURL(/sign-in/);
  same(await his.evaluate(async () => {
    const db = await new Promise((done) => { const open = indexedDB.open("chatboard", 1); open.onsuccess = () => done(open.result); });
    const sends = await new Promise((done) => { const all = db.transaction("sends").objectStore("sends").getAll(); all.onsuccess = () => done(all.result); });
    return [sends, Object.keys(localStorage).filter((key) => key.includes("draft") || key.includes("login"))];
  }), [[], []], "what is left of him");
  browser.doors[1].isMute = false;
  step("who signs out leaves nothing to read behind");

  const { name: team } = await rest(alice, "GET", `/orgs/${org}/`);
  await hers.getByRole("link", { name: "Organizations" }).click();
  await hers.getByRole("link", { name: "New organization" }).click();
  await fill(hers, { Name: "Dave & <i>Sons</i>" });
  await press(hers, "Create organization");
  await hers.getByRole("heading", { name: "Dave & <i>Sons</i>", level: 1 }).waitFor();
  await eventually("one goes on by inviting", () => hers.getByLabel("E-mail").evaluate((one) => one === document.activeElement));
  await hers.getByRole("link", { name: "Close" }).click();
  await hers.getByText("No rooms yet.").waitFor();
  await press(hers, "Create the first room");
  await hers.getByRole("dialog").waitFor();
  await hers.keyboard.press("Escape");
  await hers.getByRole("dialog").waitFor({ state: "detached" });
  await hers.getByRole("link", { name: /Hopper/ }).click();
  await hers.getByRole("link", { name: "Organizations" }).click();
  await hers.getByRole("button", { name: `Open ${team}` }).waitFor();
  await isAccessible(hers, "organizations");
  await press(hers, `Leave ${team}`);
  await press(hers, "Leave");
  await eventually("one organization is left", async () => await hers.locator(".rows > li").count() === 1);
  step("organizations are made and left");

  await hers.getByRole("link", { name: "Profile" }).click();
  await press(hers, "Delete my account…");
  await isAccessible(hers, "deleting an account");
  await fill(hers, { "Your password": "wrong password" });
  await press(hers, "Delete my account");
  await hers.locator("#leaving-password[aria-invalid=true]").waitFor();
  await saysAlert(hers, /^The password is wrong\.$/);
  await hers.keyboard.press("Escape");
  await eventually("the focus is back", () => hers.getByRole("button", { name: "Delete my account…", exact: true }).evaluate((one) => one === document.activeElement));
  await press(hers, "Delete my account…");
  await fill(hers, { "Your password": dave.password });
  await press(hers, "Delete my account");
  await hers.waitForURL(/sign-in/);
  const left = await rest(alice, "GET", `/rooms/${room}/members/`);
  check(!left.results.some((one) => one.user_email === dave.email), "who is deleted is still a member");
});
