// Short messages at the edge of the window, and questions before something is lost.

import { button, element, fill } from "./dom.js";

const SECONDS = 6;

// Tell that something was done. The message goes by itself.
export function tell(text) {
  const message = element("p", { class: "message" }, text);
  document.getElementById("messages").append(message);
  setTimeout(() => message.remove(), SECONDS * 1000);
}

// Tell of an error, until it is dismissed.
export function report(error) {
  const message = element("p", { class: "message error", role: "alert" }, error.message);
  message.append(button("Dismiss", () => message.remove(), { class: "quiet" }));
  document.getElementById("messages").append(message);
}

// Run an action of a button, and report its error.
export async function attempt(action) {
  try {
    await action();
  } catch (error) {
    report(error);
  }
}

// Open a dialog and return what its form's action returned, or null if it was cancelled. The action's error stays in
// the dialog, so that what was typed is not lost. Without an action the dialog can only be closed.
export function ask({ title, content = [], action = null, run = async () => true, isDangerous = false }) {
  return new Promise((resolve) => {
    const problem = element("p", { class: "problem", role: "alert", hidden: true });
    const submit = element("button", { type: "submit", class: isDangerous ? "danger" : "primary" }, action);
    const cancel = button(action ? "Cancel" : "Close", () => dialog.close());
    const form = element("form", { method: "dialog" }, content, problem, element("div", { class: "choices" }, cancel, action && submit));
    const dialog = element("dialog", { "aria-labelledby": "dialog-title" }, element("h2", { id: "dialog-title" }, title), form);
    let result = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      try {
        result = await run();
        dialog.close();
      } catch (error) {
        fill(problem, error.message);
        problem.hidden = false;
        submit.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
