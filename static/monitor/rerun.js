"use strict";
// The re-run page: a point is clicked on the picture, prompts open at their words, edits can be undone.
{
  const form = document.getElementById("fork");
  const changed = (field) => field.dispatchEvent(new Event("input", { bubbles: true }));
  const axis = (name, key) => form.elements.namedItem(`${name}:${key}`);
  const mark = (key) => {
    const marker = form.querySelector(`[data-marker="${CSS.escape(key)}"]`);
    if (!marker) return;
    const [x, y] = ["x", "y"].map((name) => (axis(name, key).value.trim() ? Number(axis(name, key).value.replace(",", ".")) / 100 : NaN));
    const { width, height } = marker.ownerSVGElement.viewBox.baseVal;
    const known = Number.isFinite(x) && Number.isFinite(y);
    marker.setAttribute("visibility", known ? "visible" : "hidden");
    if (known) marker.setAttribute("transform", `translate(${x * width} ${y * height})`);
  };
  const point = (key, x, y) => {
    axis("x", key).value = x;
    axis("y", key).value = y;
    mark(key);
    changed(axis("x", key));
  };
  form?.addEventListener("click", (event) => {
    const picture = event.target.closest("[data-point]");
    if (picture) {
      const box = picture.getBoundingClientRect();
      const share = (value, all) => Math.min(100, Math.max(0, (value / all) * 100)).toFixed(1);
      point(picture.dataset.point, share(event.clientX - box.left, box.width), share(event.clientY - box.top, box.height));
    }
    const { clear, undo, fill, goto } = event.target.dataset;
    if (clear) point(clear, "", "");
    if (goto) show(document.getElementById(event.target.dataset.in), Number(goto) - 1);
    const field = document.getElementById(undo ?? fill ?? "");
    if (!field) return;
    field.value = undo ? field.defaultValue : document.getElementById(event.target.dataset.with).value;
    changed(field);
    field.focus();
  });
  form?.addEventListener("input", (event) => {
    const [name, key] = event.target.name?.split(":") ?? [];
    if (key && (name === "x" || name === "y")) mark(key);
  });
  // -- what is edited are the messages, not the header above them
  const show = (field, line) => {
    const lines = field.value.split("\n");
    const start = lines.slice(0, line).join("\n").length + (line > 0 ? 1 : 0);
    field.focus();
    field.setSelectionRange(start, start + (lines[line] ?? "").length);
    field.scrollTop = (field.scrollHeight / lines.length) * Math.max(0, line - 2); // lines that wrap make it a guess
  };
  const open = (field) => {
    const lines = field.value.split("\n");
    const first = Math.max(0, lines.findIndex((line) => /^<<.+>>\s*$/.test(line)));
    field.scrollTop = (field.scrollHeight / lines.length) * first;
    const at = lines.slice(0, first + 1).join("\n").length + 1;
    field.setSelectionRange(at, at);
  };
  for (const field of form?.querySelectorAll("[data-body]") ?? []) {
    if (field.checkVisibility()) open(field);
    else field.closest("details").addEventListener("toggle", () => open(field), { once: true });
  }
  // -- Ctrl+Enter starts it from wherever one types
  form?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) document.getElementById("start").click();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { successful, xhr } = event.detail;
    const problem = document.getElementById("fork-problem");
    if (!problem || successful || !xhr.status) return;
    const told = xhr.getResponseHeader("Content-Type")?.startsWith("text/plain") ? xhr.responseText : "";
    problem.textContent = xhr.status === 403 ? "You may not do this any more. Sign in again, or ask an administrator." : told || "That did not work. Nothing was started; what you typed is still here.";
    problem.hidden = false;
  });
}
