// A shell, or another command, in a running container.

import { connect, get, path, send } from "../api.js";
import { showFrame } from "../container_frame.js";
import { element, field, fill } from "../dom.js";
import { attempt } from "../messages.js";
import { openTerminal } from "../terminal.js";

const SHELL = "exec $(command -v bash || command -v ash || echo sh)";

export async function show(page) {
  const details = await showFrame(page, "terminal");
  const command = field("Command (empty for a shell)", { type: "text", autocomplete: "off" });
  const user = field("User (empty for the container's)", { type: "text", autocomplete: "off" });
  const status = element("p", { class: "count", role: "status" });
  const screen = element("div", { class: "terminal" });
  const start = element("button", { type: "submit", class: "primary" }, "Open terminal");
  const form = element("form", { class: "tools" }, command.label, user.label, start);
  let session = null;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      session?.close();
      fill(status, "Connecting …");
      session = await openSession(details.Id, command.control.value.trim(), user.control.value.trim(), screen, status);
    });
  });
  page.signal.addEventListener("abort", () => session?.close());
  page.main.append(form, status, screen);
}

async function openSession(container, command, user, screen, status) {
  const config = {
    AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: true, User: user, Env: ["TERM=xterm-256color"],
    Cmd: ["sh", "-c", command || SHELL],
  };
  const { Id: exec } = await send("POST", path`/containers/${container}/exec`, { body: config });
  const encoder = new TextEncoder();
  let socket = null;
  const ready = () => socket?.readyState === WebSocket.OPEN;
  const { terminal, close } = openTerminal(screen, {
    label: "Terminal. Shift and Escape leave it.",
    onData: (text) => ready() && socket.send(encoder.encode(text)),
    onResize: (h, w) => ready() && attempt(() => send("POST", path`/exec/${exec}/resize`, { query: { h, w } })),
  });
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.type === "keydown" && event.key === "Escape" && event.shiftKey) {
      document.querySelector("form.tools button").focus();
      return false;
    }
    return true;
  });
  socket = connect(path`/exec/${exec}/start/ws`, { h: terminal.rows, w: terminal.cols });
  socket.addEventListener("open", () => {
    fill(status, "Connected. Shift and Escape leave the terminal by keyboard.");
    terminal.focus();
  });
  socket.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
  socket.addEventListener("close", (event) => ended(exec, event, status));
  return { close: () => { socket.close(); close(); } };
}

async function ended(exec, event, status) {
  if (!status.isConnected) {
    return;
  }
  if (event.code !== 1000 && event.reason) {
    fill(status, event.reason);
    return;
  }
  await attempt(async () => {
    const { ExitCode: code } = await get(path`/exec/${exec}/json`);
    fill(status, code === null ? "The connection has ended." : `The command has ended with exit code ${code}.`);
  });
}
