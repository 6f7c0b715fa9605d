"use strict";
// The run page: JSON viewer, before/after, ticking times, and what the reader had open across live updates.
{
  // -- JSON as a tree that folds; text only, so nothing a model wrote can become markup
  const leaf = (value) => {
    const span = document.createElement("span");
    span.className = `j-${value === null ? "null" : typeof value}`;
    span.textContent = JSON.stringify(value);
    return span;
  };
  const chip = (value) => {
    const link = document.querySelector(`[data-sha="${CSS.escape(value.$blob)}"]`);
    const made = document.createElement(link ? "a" : "span");
    made.className = "j-picture";
    made.textContent = `picture ${value.width ?? "?"} × ${value.height ?? "?"} ${String(value.$blob).slice(0, 12)}`;
    if (link) made.href = link.dataset.url;
    return made;
  };
  const node = (key, value, depth) => {
    const line = document.createElement("div");
    const name = document.createElement("span");
    if (key !== null) {
      name.className = "j-key";
      name.textContent = `${key}: `;
    }
    if (value === null || typeof value !== "object") {
      line.append(name, leaf(value));
      return line;
    }
    if (typeof value.$blob === "string") {
      line.append(name, chip(value));
      return line;
    }
    const entries = Object.entries(value);
    const isList = Array.isArray(value);
    if (!entries.length) {
      line.append(name, isList ? "[]" : "{}");
      return line;
    }
    if (isList && entries.length <= 8 && value.every((item) => item === null || typeof item !== "object")) {
      line.append(name, "[");
      value.forEach((item, at) => line.append(at ? ", " : "", leaf(item)));
      line.append("]");
      return line;
    }
    const fold = document.createElement("details");
    fold.className = "j-fold";
    const head = document.createElement("summary");
    const hint = document.createElement("span");
    hint.className = "j-hint";
    hint.textContent = isList ? `[${entries.length}]` : `{${entries.slice(0, 4).map(([name]) => name).join(", ")}${entries.length > 4 ? ", …" : ""}}`;
    head.append(name, hint);
    fold.append(head);
    fold.open = depth < 1 || (depth < 2 && entries.length <= 8);
    const fill = () => {
      if (fold.children.length > 1) return;
      for (const [name, item] of entries) fold.append(node(name, item, depth + 1));
    };
    if (fold.open) fill();
    fold.addEventListener("toggle", () => fold.open && fill());
    line.append(fold);
    return line;
  };
  const view = (pre) => {
    if (pre.dataset.viewed) return;
    pre.dataset.viewed = "1";
    let value;
    try {
      value = JSON.parse(pre.textContent);
    } catch {
      return; // cut short: it stays text
    }
    const tree = document.createElement("div");
    tree.className = "json json-tree";
    tree.append(node(null, value, 0));
    pre.replaceWith(tree);
  };
  const viewOpen = (root) => {
    for (const pre of root.querySelectorAll("details[open] > pre.json")) if (pre.checkVisibility()) view(pre);
  };
  document.addEventListener("toggle", (event) => {
    if (event.target.tagName === "DETAILS" && event.target.open) viewOpen(event.target.parentElement ?? document);
  }, true);

  // -- before and after
  const split = (range) => range.closest("[data-compare]").style.setProperty("--split", `${range.value}%`);
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-compare] input")) split(event.target);
  });

  // -- a place's box lights up with its row, and the other way round
  document.addEventListener("mouseover", (event) => {
    const over = event.target.closest?.("[data-candidate]");
    for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
    if (!over) return;
    for (const same of document.querySelectorAll(`[data-candidate="${CSS.escape(over.dataset.candidate)}"]`)) same.classList.add("lit");
  });

  // -- clicks: a tab of a prompt, copy an id, open or close every step, jump to one
  const choose = (tab) => {
    const tabs = tab.closest("[data-tabs]");
    for (const other of tabs.querySelectorAll("[data-tab]")) other.ariaSelected = String(other === tab);
    for (const panel of tabs.querySelectorAll("[data-panel]")) {
      panel.hidden = panel.dataset.panel !== tab.dataset.tab;
      if (!panel.hidden) htmx.trigger(panel, "shown");
    }
  };
  const jump = (id) => {
    const target = document.getElementById(id);
    if (!target) return;
    const step = target.closest("details.step") ?? target;
    step.open = true;
    history.replaceState(null, "", `#${step.id}`);
    step.scrollIntoView({ block: "start" });
    step.querySelector("summary")?.focus({ preventScroll: true });
  };
  document.addEventListener("click", async (event) => {
    const tab = event.target.closest("[data-tab]");
    if (tab) choose(tab);
    const goal = event.target.closest("[data-jump]");
    if (goal) jump(goal.dataset.jump);
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.classList.add("copied");
      setTimeout(() => copy.classList.remove("copied"), 1200);
    }
    const all = event.target.closest("[data-all]");
    if (all) for (const step of document.querySelectorAll("details.step")) step.open = all.dataset.all === "open";
  });
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const step = target?.closest("details.step");
    if (step) step.open = true;
  };
  addEventListener("hashchange", reveal);

  // -- what is under way
  const tick = () => {
    for (const clock of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, (Date.now() - Date.parse(clock.dataset.since)) / 1000);
      clock.textContent = seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    }
  };
  const due = () => {
    for (const clock of document.querySelectorAll("[data-until]")) {
      const seconds = Math.ceil((Date.parse(clock.dataset.until) - Date.now()) / 1000);
      clock.textContent = seconds <= 0 ? "now" : seconds < 60 ? `in ${seconds} s` : `in ${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    }
  };
  setInterval(() => { tick(); due(); }, 200);

  // -- a live update keeps what the reader had open, ticked and dragged
  let kept = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id !== "run") return;
    kept = [...document.querySelectorAll("#run details[id], #run input[id]")].map((item) => [item.id, item.open, item.checked, item.value]);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, open, checked, value] of kept) {
      const item = document.getElementById(id);
      if (!item) continue;
      if (item.tagName === "DETAILS") item.open = open || item.open;
      else if (item.type === "checkbox") item.checked = checked;
      else item.value = value;
    }
    kept = [];
    begin();
  });
  const begin = () => {
    tick();
    due();
    viewOpen(document);
    document.querySelectorAll("[data-compare] input").forEach(split);
  };
  begin();
  reveal();
}
