// All of See It before the first tap.
(() => {
  const me = document.currentScript;
  const near = (given, name) => new URL(given || name, me.src).href;
  const code = near(me.dataset.widget, "seeit-widget.js");
  const style = near(me.dataset.style, "seeit-widget.css");
  let misses = 0;

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-seeit]");
    if (!button || button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    const label = (button.dataset.label ||= button.textContent);
    try {
      // a module that failed once stays failed under its address
      const widget = await import(misses ? `${code}?again=${misses}` : code);
      await widget.open(button, style);
      button.textContent = label;
    } catch {
      misses += 1;
      button.ariaLive = "polite";
      button.textContent = "See It is taking a short break. Tap to try again.";
    }
    button.ariaBusy = "false";
  });
})();
