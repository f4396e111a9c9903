/* What makes pages quicker to use; each of them works without. */
"use strict";

// A form is sent once: the server would give the same receipt again, but nobody should have to wonder.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented) return;
  setTimeout(() => { button.disabled = true; });
});
// Coming back to a page that the browser kept must not find its button still disabled.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
});

// What went wrong is read first; a sample of it is nothing that went wrong.
document.querySelector(".problems:not([data-sample] *)")?.focus();

// On a phone the tabs of staff are one strip: where they are is in sight.
for (const tabs of document.querySelectorAll("header .tabs")) {
  const here = tabs.querySelector("[aria-current]");
  if (here) tabs.scrollLeft += here.getBoundingClientRect().left - (tabs.clientWidth - here.clientWidth) / 2;
}

// Copy a number; the button is hidden where scripts do not run.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.querySelector("[role=status]").textContent = button.dataset.copied;
  });
}
// Print this page.
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
// "/" goes to the look-up, as in many tools; never while somebody types.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  const lookup = document.getElementById("lookup");
  if (event.key !== "/" || typing || !lookup || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  lookup.focus();
});

// A minute before the session ends for want of use, ask; nothing typed is lost by staying (WCAG 2.2.1).
const { idleSeconds, idleWords, stayWords, stay } = document.body.dataset;
if (idleSeconds) {
  const leave = () => location.replace(location.pathname + location.search);
  let ends;
  const used = () => { ends = Date.now() + idleSeconds * 1000; };
  // What one tab does keeps the others' session too.
  const tabs = new BroadcastChannel("use");
  const usedHere = () => { used(); tabs.postMessage("used"); };
  tabs.addEventListener("message", used);
  usedHere();
  const dialog = document.createElement("dialog");
  dialog.setAttribute("role", "alertdialog");
  dialog.setAttribute("aria-labelledby", "idle-words");
  const words = document.createElement("p");
  words.id = "idle-words";
  words.textContent = idleWords;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = stayWords;
  button.addEventListener("click", async () => {
    // Without the network nothing is known: the question stays, and so does what was typed.
    const answer = await fetch(stay, { credentials: "same-origin", redirect: "manual" }).catch(() => null);
    if (!answer) return;
    if (!answer.ok) return leave();
    usedHere();
    dialog.close();
  });
  // Escape answers it as well.
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); button.click(); });
  dialog.append(words, button);
  document.body.append(dialog);
  document.addEventListener("htmx:after:request", usedHere);
  setInterval(() => {
    const left = ends - Date.now();
    if (left < 60_000 && left > 0 && !dialog.open) dialog.showModal();
    if (left >= 60_000 && dialog.open) dialog.close();
    // The account's figures do not stay on the screen of somebody who left.
    if (left <= 0) leave();
  }, 5_000);
}
