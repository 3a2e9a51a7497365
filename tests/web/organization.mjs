// An organization as its admin keeps it: its name, people and their roles, invitations, how long things are
// kept; and what the people themselves see of it.

import { check, eventually, isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { signIn } from "./ui.mjs";

await journey("organization", async (browser, step) => {
  const { alice, bob, carol, mallory, org, room } = stage;
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  await Promise.all([signIn(hers, alice), signIn(his, bob)]);
  const to = (page, part) => page.getByRole("navigation", { name: "Settings" }).getByRole("link", { name: part, exact: true }).click();
  const dialog = hers.getByRole("dialog");

  await hers.getByRole("link", { name: "Organization settings" }).click();
  await hers.getByRole("textbox", { name: "Name", exact: true }).fill("  ");
  await hers.getByRole("button", { name: "Save" }).click();
  await hers.getByRole("alert").filter({ hasText: "The name can't be empty." }).waitFor();
  await hers.getByRole("textbox", { name: /^Name/ }).fill("Ours <b>& theirs</b>");
  await hers.getByRole("button", { name: "Save" }).click();
  await hers.getByText("Saved.").waitFor();
  same((await rest(bob, "GET", `/orgs/${org}/`)).name, "Ours <b>& theirs</b>", "the name that others read");
  await hers.getByRole("heading", { level: 1, name: "Ours <b>& theirs</b>" }).waitFor();
  await isAccessible(hers, "an organization");
  step("it has a new name");

  await his.goto(`${his.door.url}/orgs/${org}/settings/members`);
  await his.locator(`[data-user="${carol.id}"]`).waitFor();
  check(await his.getByRole("combobox", { name: /^Role of/ }).count() === 0, "a member may choose roles");
  check(await his.getByRole("link", { name: "Invitations" }).count() === 0, "a member may invite");
  await to(hers, "Members");
  await hers.getByLabel("Find people").fill("bob");
  await hers.locator(`[data-user="${carol.id}"]`).waitFor({ state: "detached" });
  await hers.getByRole("combobox", { name: /^Role of/ }).selectOption("MANAGER");
  await hers.getByText(/is a manager now/).waitFor();
  await to(his, "Invitations");
  same((await rest(bob, "GET", `/orgs/${org}/`)).role, "MANAGER", "his role");
  await hers.getByLabel("Find people").fill("");
  const me = hers.getByRole("combobox", { name: "Role of Alice" });
  await me.selectOption("MEMBER");
  same(await hers.getByRole("alert").innerText(), "You're the only admin. Make someone else admin first.", "why the last admin stays");
  same(await me.inputValue(), "ADMIN", "the last admin's role after it was refused");
  await isAccessible(hers, "members");
  step("roles change, the last admin's does not");

  await his.getByLabel("E-mail").fill(mallory.email);
  await his.getByRole("button", { name: "Invite", exact: true }).click();
  const link = await his.getByLabel("Link").inputValue();
  check(link.includes("token="), `no link: ${link}`);
  await isAccessible(his, "an invitation with its link");
  await to(hers, "Invitations");
  await hers.getByText(mallory.email).waitFor();
  await hers.getByLabel("E-mail").fill(mallory.email);
  await hers.getByRole("button", { name: "Invite", exact: true }).click();
  await hers.getByRole("alert").filter({ hasText: "There's already an open invitation for this address." }).waitFor();
  await rest(mallory, "POST", "/orgs/accept-invite/", { token: decodeURIComponent(link.split("token=")[1]) });
  await hers.getByLabel("E-mail").fill("nobody@acme.example");
  await hers.getByRole("button", { name: "Invite", exact: true }).click();
  await hers.getByRole("button", { name: "Withdraw the invitation of nobody@acme.example" }).click();
  await hers.getByText("No open invitations.").waitFor();
  same((await rest(alice, "GET", `/orgs/${org}/invites/`)).results, [], "invitations that are open");
  step("people are invited, by a link that works");

  await to(hers, "Members");
  const stranger = hers.locator(`[data-user="${mallory.id}"]`);
  await stranger.getByRole("button", { name: /^Remove/ }).click();
  await isAccessible(hers, "the question before removing");
  await dialog.getByRole("button", { name: "Remove" }).click();
  await stranger.waitFor({ state: "detached" });
  same((await rest(alice, "GET", `/orgs/${org}/members/`)).results.length, 3, "members");
  step("who is removed is gone");

  await to(hers, "Retention");
  await hers.getByLabel("Keep messages for (days)").fill("30");
  await hers.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("button", { name: "Keep 30 days" }).click();
  await hers.getByText("Messages are kept for 30 days.").waitFor();
  await hers.getByRole("switch", { name: /^Legal hold/ }).check();
  await hers.getByText("A legal hold is on: nothing is removed.").waitFor();
  const { retention_days: days, legal_hold: isHeld } = await rest(alice, "GET", `/orgs/${org}/retention/`);
  same([days, isHeld], [30, true], "how long the server keeps things");
  await isAccessible(hers, "retention");
  step("retention is set, and a hold is on");

  await to(hers, "General");
  const name = "Ours <b>& theirs</b>";
  const askToDelete = async () => {
    await hers.getByRole("button", { name: "Delete this organization…" }).click();
    await dialog.getByRole("textbox").fill("another name");
    await dialog.getByRole("button", { name: "Delete organization" }).click();
    await dialog.getByText("This is not the name.").waitFor();
    await dialog.getByRole("textbox").fill(name);
    await dialog.getByRole("button", { name: "Delete organization" }).click();
  };
  await askToDelete();
  await dialog.getByRole("alert").filter({ hasText: /hold/i }).waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await rest(alice, "PATCH", `/orgs/${org}/retention/`, { legal_hold: false });
  await his.getByRole("link", { name: "Close" }).click();
  await his.waitForURL(new RegExp(`/r/${room}`));
  await askToDelete();
  await eventually("the organization is gone", () => rest(bob, "GET", "/orgs/").then(({ results }) => results.length === 0));
  await his.locator(`a[href="/r/${room}"]`).waitFor({ state: "detached" });
  await his.getByRole("link", { name: "Create an organization" }).click();
  await his.getByRole("textbox", { name: "Name" }).fill("His own");
  await his.getByRole("button", { name: "Create organization" }).click();
  await his.getByRole("heading", { level: 1, name: "His own" }).waitFor();
  same((await rest(bob, "GET", "/orgs/")).results.map(({ name, role }) => [name, role]), [["His own", "ADMIN"]], "his organizations");
  step("it is deleted once its name is typed and no hold is on");
});
