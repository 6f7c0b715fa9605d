"use strict";
// The compare page: the slider, the way of looking in the address, and what the reader had chosen across live updates.
{
  const split = (range) => range.closest("[data-compare]").style.setProperty("--split", `${range.value}%`);
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-compare] input")) split(event.target);
  });

  // -- the way of looking is part of the link that is shared
  document.addEventListener("change", (event) => {
    if (event.target.name !== "view") return;
    const address = new URL(location.href);
    address.searchParams.set("view", event.target.value);
    history.replaceState(null, "", address);
    for (const link of document.querySelectorAll('a[data-key="x"]')) link.search = address.search;
  });

  // -- blinking stops under the pointer or with the space bar, to look longer
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target !== document.body || !document.querySelector("#view-blink:checked")) return;
    event.preventDefault();
    for (const stack of document.querySelectorAll(".stack")) stack.classList.toggle("held");
  });

  // -- a cause leads to its place, opened
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (const fold of [target, ...(target?.querySelectorAll("details") ?? [])]) if (fold?.tagName === "DETAILS") fold.open = true;
  };
  addEventListener("hashchange", reveal);

  // -- somebody else has patched meanwhile: go over it only after a second look
  document.addEventListener("patchmoved", (event) => {
    const form = event.target.closest("form");
    form.elements.seen.value = event.detail.seen;
    const box = form.elements.confirmed;
    box.disabled = false;
    box.checked = false;
    box.closest("label").hidden = false;
  });

  // -- a live update keeps what the reader had open, ticked and dragged
  let kept = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id !== "compare") return;
    kept = [...document.querySelectorAll("#compare details[id], #compare input[id]")].map((item) => [item.id, item.open, item.checked, item.value]);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, open, checked, value] of kept) {
      const item = document.getElementById(id);
      if (!item) continue;
      if (item.tagName === "DETAILS") item.open = open;
      else if (item.type === "range") item.value = value;
      else item.checked = checked;
    }
    kept = [];
    begin();
  });
  const begin = () => document.querySelectorAll("[data-compare] > input").forEach(split);
  begin();
  reveal();
}
