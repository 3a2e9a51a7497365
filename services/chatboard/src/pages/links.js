// The pages behind the links in mails: they post what the visitor types to the REST api.
"use strict";

const token = new URLSearchParams(location.search).get("token") || "";
const form = document.querySelector("form");
const alertBox = document.querySelector("[role=alert]");
const field = (name) => form.elements.namedItem(name);

async function post(path, body, access) {
  const headers = { "Content-Type": "application/json" };
  if (access) headers.Authorization = `Bearer ${access}`;
  const answer = await fetch(`/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  const json = text ? JSON.parse(text) : {};
  if (answer.ok) return json;
  const faults = Object.entries(json.errors || {}).map(([name, all]) => `${name.replaceAll("_", " ")} ${all.join(", ")}`);
  throw new Error(faults.join("; ") || json.detail || json.title || "That did not work.");
}

async function reset() {
  await post("/auth/password/reset/confirm/", { token, new_password: field("password").value });
  return "Your new password is set. All your devices have been signed out.";
}

async function accept() {
  const login = { email: field("email").value, password: field("password").value };
  if (field("is_new").checked) {
    await post("/auth/register/", { ...login, first_name: field("first_name").value });
    field("is_new").checked = false;
  }
  const { access } = await post("/auth/token/", login);
  const { detail } = await post("/orgs/accept-invite/", { token }, access);
  return detail;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  alertBox.textContent = "";
  try {
    const done = await (form.id === "reset" ? reset() : accept());
    const paragraph = document.createElement("p");
    paragraph.setAttribute("role", "status");
    paragraph.textContent = done;
    form.replaceWith(paragraph);
  } catch (error) {
    alertBox.textContent = error.message;
    button.disabled = false;
  }
});
