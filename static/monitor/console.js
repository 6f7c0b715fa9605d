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
// Keyboard: whatever has `data-key="g p"` is pressed by typing it, and `?` lists what this page has. Nothing is taken
// from fields, open dialogs, or keys with a modifier. (A dialog just closed may keep the focus until the next frame.)
{
  const typing = (target) => target.closest("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]");
  const doors = () => [...document.querySelectorAll("[data-key]")];
  let typed = "", timer;
  const press = (key) => {
    clearTimeout(timer);
    typed = typed ? `${typed} ${key}` : key;
    const found = doors().find((door) => door.dataset.key === typed);
    if (!found && doors().some((door) => door.dataset.key.startsWith(`${typed} `))) {
      timer = setTimeout(() => { typed = ""; }, 1200);
      return true;
    }
    const again = !found && typed !== key;
    typed = "";
    if (again) return press(key);
    if (found) found.matches("input") ? (found.focus(), found.select()) : found.click();
    return Boolean(found);
  };
  const list = () => {
    let sheet = document.getElementById("keys");
    if (!sheet) {
      sheet = document.createElement("dialog");
      sheet.id = "keys";
      sheet.className = "ask keys";
      sheet.setAttribute("aria-label", "Keyboard shortcuts");
      sheet.innerHTML = "<h2>Keyboard shortcuts</h2><dl></dl><div class=ask-buttons><button type=button class='button quiet' data-close>Close</button></div>";
      document.body.append(sheet);
    }
    const rows = new Map(doors().map((door) => [door.dataset.key, door.dataset.does ?? door.textContent.trim()])).set("?", "this list");
    sheet.querySelector("dl").replaceChildren(...[...rows].flatMap(([keys, does]) => {
      const name = document.createElement("dt"), meaning = document.createElement("dd");
      for (const key of keys.split(" ")) {
        const cap = document.createElement("kbd");
        cap.textContent = key;
        name.append(cap, " ");
      }
      meaning.textContent = does;
      return [name, meaning];
    }));
    sheet.showModal();
  };
  document.addEventListener("click", (event) => event.target.closest("[data-keys]") && list());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented || typing(event.target)) return;
    if (document.querySelector("dialog[open]") || event.key.length > 1) return;
    if (event.key === "?") list();
    else if (!press(event.key)) return;
    event.preventDefault();
  });
}
// The operator's time zone, so that the console can say and understand local times.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `console_zone=${encodeURIComponent(zone)}; path=/admin/; max-age=31536000; samesite=lax`;
}
