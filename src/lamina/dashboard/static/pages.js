// Every page: its place in the address, and the module that shows it. Modules are loaded when they are first shown.
//
// A module exports `show(page)`. `page.main` is the element to fill, `page.parameters` holds the variable parts of the
// path, `page.query` what stands behind its question mark, and `page.signal` aborts when the page is left. `page.title`
// names the page. `page.settings.readOnly` tells that nothing may be changed; pages that only change have `isChange`.

export const PAGES = [
  { path: "containers", title: "Containers", module: "./pages/containers.js" },
  { path: "containers/:id/logs", title: "Log", module: "./pages/container_logs.js" },
  { path: "containers/:id/terminal", title: "Terminal", module: "./pages/container_terminal.js", isChange: true },
  { path: "containers/:id/stats", title: "Usage", module: "./pages/container_stats.js" },
  { path: "containers/:id/files", title: "Files", module: "./pages/container_files.js" },
  { path: "containers/:id/changes", title: "Changes", module: "./pages/container_changes.js" },
  { path: "containers/:id/inspect", title: "Details", module: "./pages/container_inspect.js" },
  { path: "images", title: "Images", module: "./pages/images.js" },
  { path: "images/:id/layers", title: "Layers", module: "./pages/image_layers.js" },
  { path: "images/:id/files", title: "Files", module: "./pages/image_files.js" },
  { path: "images/:id/history", title: "History", module: "./pages/image_history.js" },
  { path: "images/:id/packages", title: "Packages", module: "./pages/image_packages.js" },
  { path: "images/:id/compare", title: "Compare", module: "./pages/image_compare.js" },
  { path: "images/:id/inspect", title: "Details", module: "./pages/image_inspect.js" },
  { path: "images/:id/run", title: "Run", module: "./pages/image_run.js", isChange: true },
  { path: "builds", title: "Builds", module: "./pages/builds.js" },
  { path: "builds/cache", title: "Build cache", module: "./pages/build_cache.js" },
  { path: "builds/live/:key", title: "Build", module: "./pages/build_live.js" },
  { path: "builds/records/:ref", title: "Build", module: "./pages/build_record.js" },
  { path: "volumes", title: "Volumes", module: "./pages/volumes.js" },
  { path: "volumes/:name", title: "Volume", module: "./pages/volume.js" },
  { path: "networks", title: "Networks", module: "./pages/networks.js" },
  { path: "networks/:id", title: "Network", module: "./pages/network.js" },
  { path: "registries", title: "Registries", module: "./pages/registries.js" },
  { path: "registries/:registry", title: "Registry", module: "./pages/registry.js" },
  { path: "registries/:registry/repositories/:name", title: "Repository", module: "./pages/repository.js" },
  { path: "registries/:registry/repositories/:name/tags/:tag", title: "Image", module: "./pages/remote_image.js" },
  { path: "system", title: "System", module: "./pages/system.js" },
  { path: "system/events", title: "Events", module: "./pages/events.js" },
  { path: "system/about", title: "About", module: "./pages/about.js" },
];

// The pages that the navigation lists.
export const NAVIGATION = PAGES.filter((page) => !page.path.includes("/"));
