"use strict";
// Runs and errors: a chosen filter applies at once; the button stays for those who type. j and k walk, o opens.
{
  const form = document.getElementById("filters");
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) form.requestSubmit();
  });
  form.addEventListener("formdata", (event) => {
    const around = event.formData.get("around");
    for (const [name, value] of [...event.formData.entries()]) {
      if (value === "" || (name === "within" && !around) || (name === "range" && around)) event.formData.delete(name);
    }
  });
  const links = () => [...document.querySelectorAll(".run-name > a, .error-group h2 > a")];
  const here = () => links().indexOf(document.activeElement);
  document.addEventListener("click", (event) => {
    const walk = event.target.closest("[data-walk]");
    if (walk) links()[Math.max(0, here() + Number(walk.dataset.walk))]?.focus();
    if (event.target.closest("[data-open]")) links()[Math.max(0, here())]?.click();
  });
}
