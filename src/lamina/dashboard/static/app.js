// The frame around the pages: the navigation, and the page that the address names.

import { settings } from "./api.js";
import { append, element, fill } from "./dom.js";
import { report } from "./messages.js";
import { NAVIGATION, PAGES } from "./pages.js";

const main = document.getElementById("main");
let leaving = new AbortController();
let isFirst = true;

function buildFrame() {
  document.getElementById("pages").append(
    ...NAVIGATION.map((page) => element("li", {}, element("a", { href: `#/${page.path}` }, page.title))),
  );
  document.getElementById("mode").hidden = !settings.readOnly;
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
}

// Return the page that an address means, with the variable parts of its path.
function find(address) {
  const [path, query = ""] = address.split("?", 2);
  const parts = path.split("/").map(decodeURIComponent);
  for (const page of PAGES) {
    const names = page.path.split("/");
    if (names.length === parts.length && names.every((name, index) => name.startsWith(":") || name === parts[index])) {
      const variables = names.map((name, index) => [name, parts[index]]).filter(([name]) => name.startsWith(":"));
      const parameters = Object.fromEntries(variables.map(([name, part]) => [name.slice(1), part]));
      return { page, parameters, query: new URLSearchParams(query) };
    }
  }
  return null;
}

async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const match = find(location.hash.replace(/^#\/?/, "") || PAGES[0].path);
  fill(main);
  if (!match) {
    setTitle("There is no such page");
    return;
  }
  setTitle(match.page.title);
  markCurrent(match.page.path);
  if (match.page.isChange && settings.readOnly) {
    append(main, element("p", {}, "This dashboard shows everything and changes nothing."));
    return;
  }
  try {
    const module = await import(match.page.module);
    if (!signal.aborted) {
      await module.show({ ...match, main, signal, settings, title: setTitle });
    }
  } catch (error) {
    if (!signal.aborted) {
      report(error);
    }
  }
}

// Name the page, in the window's title and in its heading, which gets the focus so that screen readers say it.
function setTitle(text) {
  document.title = `${text} · lamina`;
  let heading = main.querySelector("h1");
  if (!heading) {
    heading = element("h1", { tabindex: "-1" });
    main.prepend(heading);
  }
  fill(heading, text);
  if (!isFirst && !main.contains(document.activeElement)) {
    heading.focus();
  }
  isFirst = false;
}

function markCurrent(path) {
  for (const anchor of document.querySelectorAll("#pages a")) {
    if (anchor.getAttribute("href") === `#/${path.split("/")[0]}`) {
      anchor.setAttribute("aria-current", "page");
    } else {
      anchor.removeAttribute("aria-current");
    }
  }
}

if (location.pathname !== "/") { // the link that was entered by works only once
  history.replaceState(null, "", `/${location.hash}`);
}
buildFrame();
window.addEventListener("hashchange", show);
await show();
