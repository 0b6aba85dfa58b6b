// What a container uses, as plots of the last minutes.

import { lines, path } from "../api.js";
import { showFrame } from "../container_frame.js";
import { element, fill } from "../dom.js";
import { size } from "../format.js";
import { report } from "../messages.js";
import { Plot } from "../plot.js";

const percent = (value) => `${value.toFixed(1)} %`;
const rate = (value) => `${size(Math.round(value))}/s`;

export async function show(page) {
  const details = await showFrame(page, "stats");
  const plots = {
    cpu: new Plot("Processor", ["used"], percent),
    memory: new Plot("Memory", ["used"], size),
    network: new Plot("Network", ["received", "sent"], rate),
    disk: new Plot("Disk", ["read", "written"], rate),
  };
  const now = element("dl", { class: "figures" });
  const status = element("p", { class: "count", role: "status" }, "Waiting for the first reading …");
  page.main.append(status, now, element("div", { class: "plots" }, Object.values(plots).map((plot) => plot.element)));
  let before = null;
  try {
    for await (const reading of lines(path`/containers/${details.Id}/stats`, { stream: 1 }, page.signal)) {
      const usage = usageOf(reading, before);
      before = reading;
      if (!usage) {
        continue;
      }
      fill(status);
      showFigures(now, usage);
      plots.cpu.add(usage.time, [usage.cpu]);
      plots.memory.add(usage.time, [usage.memory]);
      plots.network.add(usage.time, [usage.received, usage.sent]);
      plots.disk.add(usage.time, [usage.read, usage.written]);
    }
    fill(status, "The container does not run.");
  } catch (error) {
    report(error);
  } finally {
    Object.values(plots).forEach((plot) => plot.close());
  }
}

function showFigures(list, usage) {
  const figures = [
    ["Processor", percent(usage.cpu)],
    ["Memory", usage.limit ? `${size(usage.memory)} of ${size(usage.limit)}` : size(usage.memory)],
    ["Processes", String(usage.processes)],
    ["Network", `${rate(usage.received)} received, ${rate(usage.sent)} sent`],
    ["Disk", `${rate(usage.read)} read, ${rate(usage.written)} written`],
  ];
  fill(list, figures.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// Return what was used between two readings, or null where they cannot be compared.
function usageOf(reading, before) {
  const time = Date.parse(reading.read) / 1000;
  const seconds = before ? time - Date.parse(before.read) / 1000 : 0;
  if (!(seconds > 0)) {
    return null;
  }
  const cpu = reading.cpu_stats.cpu_usage.total_usage - before.cpu_stats.cpu_usage.total_usage;
  const change = (count) => Math.max(0, count(reading) - count(before)) / seconds;
  const memory = reading.memory_stats ?? {};
  const cache = memory.stats?.total_inactive_file ?? memory.stats?.inactive_file ?? 0;
  return {
    time,
    cpu: Math.max(0, cpu / seconds / 1e7),
    memory: Math.max(0, (memory.usage ?? 0) - cache),
    limit: memory.limit,
    processes: reading.pids_stats?.current ?? 0,
    received: change((one) => network(one, "rx_bytes")),
    sent: change((one) => network(one, "tx_bytes")),
    read: change((one) => disk(one, "read")),
    written: change((one) => disk(one, "write")),
  };
}

function network(reading, name) {
  return Object.values(reading.networks ?? {}).reduce((sum, card) => sum + card[name], 0);
}

function disk(reading, operation) {
  const entries = reading.blkio_stats?.io_service_bytes_recursive ?? [];
  return entries.filter((entry) => entry.op.toLowerCase() === operation).reduce((sum, entry) => sum + entry.value, 0);
}
