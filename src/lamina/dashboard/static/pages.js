// Every page: its place in the address, and the module that shows it. Modules are loaded when they are first shown.
//
// A module exports `show(page)`. `page.main` is the element to fill, `page.parameters` holds the variable parts of the
// path, `page.query` what stands behind its question mark, and `page.signal` aborts when the page is left. `page.title`
// names the page. `page.settings.readOnly` tells that nothing may be changed.

export const PAGES = [
  { path: "containers", title: "Containers", module: "./pages/containers.js" },
  { path: "images", title: "Images", module: "./pages/images.js" },
];

// The pages that the navigation lists.
export const NAVIGATION = PAGES.filter((page) => !page.path.includes("/"));
