// Who one is at registries. Names and passwords stay in this window's memory, and go to the daemon with the requests
// that need them: neither the daemon nor the dashboard's server keeps any.

import { send } from "./api.js";

const HUB = "https://index.docker.io/v1/";
const logins = new Map();

// Try a name and password at a registry, and remember them until the window is reloaded or closed.
export async function logIn(registry, username, password) {
  const auth = { username, password, serveraddress: serverOf(registry) };
  const { IdentityToken: token } = await send("POST", "/auth", { body: auth });
  logins.set(registry, token ? { username, identitytoken: token, serveraddress: auth.serveraddress } : auth);
}

// Forget who one is at a registry.
export const logOut = (registry) => logins.delete(registry);

// Return the registries that one is logged in to.
export const registries = () => [...logins.keys()];

// Return the headers of a request about one registry.
export function headerFor(registry) {
  const auth = logins.get(registry);
  return auth ? { "X-Registry-Auth": encode(auth) } : {};
}

// Return the headers of a build, which may pull from any registry.
export function headerForBuilds() {
  const all = [...logins.values()].map((auth) => [auth.serveraddress, auth]);
  return all.length ? { "X-Registry-Config": encode(Object.fromEntries(all)) } : {};
}

function serverOf(registry) {
  return registry === "docker.io" ? HUB : registry;
}

function encode(value) {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
