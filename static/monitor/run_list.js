"use strict";
// The run list: a chosen filter applies at once; the button stays for those who type.
{
  const form = document.getElementById("filters");
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) form.requestSubmit();
  });
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData.entries()]) if (value === "") event.formData.delete(name);
  });
}
