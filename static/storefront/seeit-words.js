// Words and markup.

export const TYPES = ["image/jpeg", "image/png", "image/webp"];

export const STAGES = {
  upload: "Sending your photo",
  facts: "Reading the product's real size",
  placement: "Looking for good spots in your room",
  select: "Choosing the best one",
  composite: "Setting it in, with light and shadow",
};

const BREAK = ["See It is taking a short break", "Please try again in a moment.", "retry"];
const SHOP = ["Previews are not available here", "The shop has to look into it."];
const ANEW = ["Please send that once more", "Your photo is still here.", "retry"];
const another = (heading, hint) => [heading, hint || "Please choose another one.", "photo"];

const LARGE = another("This photo is too large", "Please choose one below 15 MB and 50 megapixels.");

// code: what happened, what to do, its button
export const ERRORS = {
  temporarily_unavailable: BREAK,
  vendor_unavailable: BREAK,
  signature_invalid: SHOP,
  key_invalid: SHOP,
  shop_inactive: SHOP,
  unavailable: ["This product cannot be shown in a room yet"],
  not_found: another("This picture is no longer here", "It was deleted or has expired."),
  product_not_ready: ["This product is still being prepared", "Please try again in a few minutes.", "retry"],
  duplicate_nonce: ANEW,
  upload_expired: ANEW,
  photo_too_large: LARGE,
  photo_unsupported: another("We cannot read this kind of file", "Please choose a JPEG, PNG or WebP photo."),
  photo_corrupt: another("This photo seems to be damaged"),
  photo_too_many_pixels: LARGE,
  photo_too_small: another("This photo is too small", "Please choose one straight from the camera."),
  photo_animated: another("This picture moves", "Please choose a still photo."),
  consent_required: another("We need your permission first", "Please tick the box."),
  validation: another("That did not work", "Please try another photo."),
  quota_exceeded: ["The shop has used up its previews", "Please come back tomorrow."],
  throttled: ["That was a little fast", "Please wait a moment.", "retry"],
  gate_rejected: ["That picture was not good enough to show", "Please try another spot or photo.", "retry"],
};

export const VIEWS = `
<link rel=stylesheet>
<dialog aria-labelledby=title>
<header><p id=title>See it in your room <span></span></p><button class=x data-do=close aria-label=Close>&times;</button></header>
<section id=load><h2 tabindex=-1>One moment …</h2></section>
<section id=intro>
  <h2 tabindex=-1>Show us your room</h2>
  <ul class=tips>
    <li><svg viewBox="0 0 24 24"><path d="M3 3h18v18H3zM3 20l4-5h10l4 5M7 15V3m10 0v12"/></svg>Step back: floor and wall should be in it
    <li><svg viewBox="0 0 24 24"><path d="M7 2h10v20H7zM11 19h2M2 9v6m20-6v6"/></svg>Hold the phone upright, at chest height
    <li><svg viewBox="0 0 24 24"><path d="M7 12a5 5 0 0 1 10 0 5 5 0 0 1-10 0M12 1v3m0 16v3M1 12h3m16 0h3"/></svg>Let in daylight, or turn on the lamps
  </ul>
  <label class=consent><input type=checkbox aria-describedby=must><span>I agree that <b id=store></b> and See It process this photo to create a preview. It is deleted within 24&nbsp;hours. Don't include people. <a id=privacy target=_blank>Privacy</a></span></label>
  <p id=must role=alert></p>
  <div class=row>
    <button class="main touch" data-do=take>Take a photo</button>
    <button class=main data-do=pick>Choose a photo</button>
  </div>
  <input type=file hidden accept="${TYPES}">
  <div id=samples><h3>No photo at hand? Try a sample room</h3><div class=thumbs></div></div>
</section>
<section id=place>
  <h2 tabindex=-1>Tap where it should stand <small>(optional)</small></h2>
  <p class=note>Without a mark, we choose. Drag it or use the arrow keys to move it.</p>
  <div class=photo id=stage tabindex=0 role=application aria-label="Your room photo. Arrow keys set and move the mark, Delete removes it."><img alt><i id=mark></i></div>
  <div class=row>
    <button class=main data-do=submit>Show it in my room</button>
    <button data-do=unmark>Remove mark</button>
    <button data-do=back>Another photo</button>
  </div>
</section>
<section id=wait>
  <h2 tabindex=-1>Making your picture</h2>
  <ol class=stages><li>${Object.values(STAGES).join("<li>")}</ol>
  <p id=elapsed class=note></p>
  <div class=row><button data-do=remove>Stop and delete my photo</button></div>
</section>
<section id=result>
  <h2 tabindex=-1>Here it is</h2>
  <div class="photo compare"><img alt="Your room before"><img id=after><input type=range aria-label="Before and after"><b>Before</b><b>After</b></div>
  <p id=size></p>
  <p id=approximate class=note>The size is approximate: not every measure is given.</p>
  <div class=row>
    <a id=download class="button main" target=_blank download=see-it.jpg>Download</a>
    <button data-do=move>Move it</button>
    <button data-do=back>Try another photo</button>
  </div>
  <div class="row foot">
    <span role=group aria-label=Feedback>Does it help? <button data-do=up>Yes</button> <button data-do=down>No</button></span>
    <small id=code></small><button class=link data-do=remove>Delete my photo</button>
  </div>
</section>
<section id=gone>
  <h2 tabindex=-1>Your photo is deleted</h2><p>The picture made from it, too.</p>
  <div class=row><button class=main data-do=back>Try another photo</button><button data-do=close>Close</button></div>
</section>
<section id=error>
  <h2 tabindex=-1></h2><p id=hint class=note></p>
  <div class=row><button id=retry class=main data-do=retry>Try again</button><button id=other data-do=back>Choose another photo</button><button data-do=leave></button></div>
</section>
<p class=hear role=status></p>
</dialog>`;
