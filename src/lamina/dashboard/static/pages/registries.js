// Registries: those that images here come from, and those that one is logged in to.

import { get } from "../api.js";
import { button, element, field, fill, link, place } from "../dom.js";
import { keepLoaded } from "../events.js";
import { logIn, logOut, registries } from "../logins.js";
import { ask, tell } from "../messages.js";

const HUB = "docker.io";

export async function show(page) {
  const address = field("Address of a registry", { type: "text", placeholder: "localhost:5000", required: true, autocomplete: "off" });
  const form = element("form", { class: "tools" }, address.label, element("button", { type: "submit", class: "primary" }, "Open"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = place("registries", address.control.value.trim());
  });
  const list = element("ul", { class: "registries" });
  page.main.append(form, list);
  await keepLoaded(["image"], async () => {
    const images = await get("/images/json", {}, page.signal);
    const names = images.flatMap((image) => image.RepoTags ?? []).map(registryOf);
    fill(list, [...new Set([...registries(), ...names, HUB])].sort().map((name) => element("li", {},
      link(name, "registries", name), registries().includes(name) && " · logged in")));
  }, page.signal);
}

// Return the registry that an image's name is of.
export function registryOf(name) {
  const [first, ...rest] = name.split("/");
  return rest.length && (/[.:]/.test(first) || first === "localhost") ? first : HUB;
}

// Return the buttons to log in to a registry and out of it. `changed` is called after each.
export function loginButtons(registry, changed) {
  if (registries().includes(registry)) {
    return button("Log out", () => {
      logOut(registry);
      changed();
    });
  }
  return button("Log in", async () => {
    if (await askToLogIn(registry)) {
      changed();
    }
  });
}

function askToLogIn(registry) {
  const name = field("Name", { type: "text", autocomplete: "username", required: true });
  const password = field("Password or token", { type: "password", autocomplete: "current-password", required: true });
  return ask({
    title: `Log in to ${registry}`,
    content: [element("p", {}, "Name and password stay in this window, and are gone when it is closed or reloaded."), name.label, password.label],
    action: "Log in",
    run: async () => {
      await logIn(registry, name.control.value, password.control.value);
      tell(`Logged in to ${registry}`);
      return true;
    },
  });
}
