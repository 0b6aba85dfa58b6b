// What this daemon is, and how it is set up.

import { get } from "../api.js";
import { figures, section } from "../details.js";
import { element } from "../dom.js";
import { size } from "../format.js";
import { jsonView } from "../json_view.js";
import { systemTabs } from "./system.js";

export async function show(page) {
  page.main.append(systemTabs("about"));
  const [version, info] = await Promise.all([get("/version", {}, page.signal), get("/info", {}, page.signal)]);
  page.main.append(
    figures([
      ["Version", version.Version],
      ["API", `${version.MinAPIVersion} to ${version.ApiVersion}`],
      ["System", `${info.OperatingSystem}, ${info.KernelVersion}, ${info.Architecture}`],
      ["Processors", info.NCPU],
      ["Memory", size(info.MemTotal)],
      ["Storage", info.Driver],
      ["Cgroups", `${info.CgroupDriver}, version ${info.CgroupVersion}`],
      ["Data", element("code", {}, info.DockerRootDir)],
      ["Containers", `${info.ContainersRunning} running, ${info.ContainersPaused} paused, ${info.ContainersStopped} stopped`],
      ["Images", info.Images],
    ]),
    section("Warnings", element("ul", {}, (info.Warnings ?? []).map((warning) => element("li", {}, warning))), !info.Warnings?.length && "None."),
    section("All that it tells", jsonView({ version, info }, "lamina.json")),
  );
}
