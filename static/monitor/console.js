"use strict";
// Every page: one open menu at a time, closed by a click elsewhere or Escape.
{
  const menus = () => document.querySelectorAll("details.menu[open]");
  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}
// Dialogs: a button opens one, what its form is refused stands in it, what succeeds closes it.
{
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      const choice = dialog.querySelector("select");
      if (choice && opener.dataset.choose) choice.value = opener.dataset.choose;
      say(dialog, "");
      dialog.showModal();
    }
    event.target.closest("[data-close]")?.closest("dialog").close();
  });
  const say = (dialog, text) => {
    const problem = dialog.querySelector(".ask-problem");
    if (!problem) return;
    problem.textContent = text;
    problem.hidden = !text;
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    const dialog = event.detail.elt.closest?.("dialog");
    if (!dialog) return;
    const { successful, xhr } = event.detail;
    if (successful) dialog.close();
    else if (xhr.status === 403) say(dialog, "You may not do this any more. Sign in again, or ask an administrator.");
    else say(dialog, xhr.getResponseHeader("Content-Type")?.startsWith("text/plain") ? xhr.responseText : "That did not work. Nothing was changed; try again.");
  });
}
