// Loaded on the first tap; its shadow root keeps it and the shop's theme apart.
import { ERRORS, STAGES, TYPES, VIEWS } from "./seeit-words.js";

const LONG_SIDE = 2560; // as the server keeps it
const root = document.createElement("seeit-widget").attachShadow({ mode: "open" });
root.innerHTML = VIEWS;
const $ = (selector) => root.querySelector(selector);
const dialog = $("dialog");
const stages = Object.keys(STAGES);

let button, api, title, view, again, clock, kept;
let file, preview, spot, refining; // spot: fractions
let upload, nonce; // sent but not decided: safe to repeat
let id, shown, made = []; // composites: under way, in sight, all
let turn; // the task

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const failure = (code, more) => ({ ...more, code });
const OUTAGE = "temporarily_unavailable";
const outage = () => failure(OUTAGE);
const undecided = ({ code }) => code === OUTAGE || code === "throttled";

function visitor(token) {
  kept = token || kept;
  try {
    if (token) localStorage["seeit.visitor"] = token;
    return localStorage["seeit.visitor"] || kept;
  } catch {
    return kept;
  }
}

// Not our JSON: an outage.
async function call(method, path, body, headers) {
  const { key } = button.dataset;
  let reply, answer;
  try {
    reply = await fetch(new URL(path, api), {
      method,
      headers: { ...(key && { Authorization: `Bearer ${key}` }), ...(body && { "Content-Type": "application/json" }), ...headers },
      body: body && JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(30000),
    });
    answer = reply.status === 204 ? { ok: true } : await reply.json();
  } catch {
    throw outage();
  }
  if (answer?.ok === true) return answer.data;
  const { code, ...more } = answer?.error || {};
  throw failure(code || OUTAGE, { ...more, wait: Number(reply.headers.get("Retry-After")) });
}

const mine = (method, which = id) => call(method, `composites/${which}?visitor=${encodeURIComponent(visitor())}`);

// Keeps FocalLengthIn35mmFilm (Exif 0xA405) for true size.
async function shrink(original, image) {
  const scale = LONG_SIDE / Math.max(image.naturalWidth, image.naturalHeight);
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * scale;
  canvas.height = image.naturalHeight * scale;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, LONG_SIDE, LONG_SIDE);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  const jpeg = await new Promise((done) => canvas.toBlob(done, TYPES[0], 0.92));
  const head = hex(new Uint8Array(await original.slice(0, 65536).arrayBuffer()));
  const [, big, low, high] = head.match(/a405000300000001(....)|05a4030001000000(..)(..)/) || [];
  if (!jpeg || !(big || low)) return jpeg || original;
  const exif = `ffd8ffe100344578696600004d4d002a00000008000187690004000000010000001a000000000001a405000300000001${big || high + low}000000000000`;
  return new Blob([Uint8Array.from(exif.match(/../g), (byte) => parseInt(byte, 16)), jpeg.slice(2)], { type: TYPES[0] });
}

async function choose(picked) {
  const url = URL.createObjectURL(picked);
  const image = new Image();
  image.src = url;
  try {
    if (!TYPES.includes(picked.type)) throw failure("photo_unsupported");
    await image.decode().catch(() => { throw failure("photo_corrupt"); });
    file = Math.max(image.naturalWidth, image.naturalHeight) > LONG_SIDE ? await shrink(picked, image) : picked;
  } catch (error) {
    return fail(error);
  }
  URL.revokeObjectURL(preview);
  preview = $("#stage img").src = $(".compare img").src = url;
  frame("#stage", image.naturalWidth / image.naturalHeight);
  upload = nonce = null;
  place(false);
}

async function sample(url) {
  again = () => sample(url);
  const reply = await fetch(url).catch(outage);
  if (reply.ok) choose(await reply.blob());
  else fail(outage());
}

function agreed() {
  const box = $("[type=checkbox]");
  if (box.checked) return true;
  $("#must").textContent = "Please tick the box first.";
  box.focus();
}

function browse(camera) {
  if (!agreed()) return;
  $("[type=file]").toggleAttribute("capture", camera);
  $("[type=file]").click();
}

function place(move) {
  refining = move;
  mark();
  show("place");
}

const frame = (selector, ratio) => $(selector).style.setProperty("--ratio", ratio);

function mark(at) {
  spot = at?.map((part) => Math.min(1, Math.max(0, part)));
  $("#mark").hidden = $("[data-do=unmark]").hidden = !spot;
  $("[data-do=submit]").disabled = refining && !spot;
  const [left, top] = (spot || []).map((part) => `${Math.round(part * 100)}%`);
  if (spot) Object.assign($("#mark").style, { left, top });
  if (view === "place") say(spot ? `Mark at ${left} from left, ${top} from top` : "Mark removed");
}

function press(event) {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Delete: 0 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  if (step) mark(spot ? spot.map((at, i) => at + step[i] * (event.shiftKey ? 0.1 : 0.02)) : [0.5, 0.7]);
  else mark();
}

async function submit() {
  again = submit;
  progress(refining ? "facts" : "upload");
  const ticket = (turn = {});
  const tap = spot && { x: spot[0], y: spot[1] };
  try {
    if (!refining) upload ||= await send();
    if (ticket !== turn) return;
    nonce ||= hex(crypto.getRandomValues(new Uint8Array(16)));
    const body = refining ? { tap } : { product_id: button.dataset.product, upload_id: upload, tap, consent: true };
    const path = refining ? `composites/${shown}/refine` : "composites";
    const run = await call("POST", path, { ...body, visitor: visitor(), n: nonce }, { "Idempotency-Key": nonce });
    visitor(run.visitor);
    upload = nonce = null;
    if (ticket !== turn) return mine("DELETE", run.id); // stopped meanwhile
    made.push((id = run.id));
    watch(run);
  } catch (error) {
    if (!undecided(error)) upload = nonce = null;
    if (ticket === turn) fail(error);
  }
}

async function send() {
  const slot = await call("POST", "uploads", { content_type: file.type, bytes: file.size });
  if (file.size > slot.max_bytes) throw failure("photo_too_large");
  const { method, headers } = slot;
  const reply = await fetch(new URL(slot.url, api), { method, headers, body: file, signal: AbortSignal.timeout(120000) }).catch(() => { throw outage(); });
  if (!reply.ok) throw failure((await reply.json().catch(() => 0))?.error?.code || OUTAGE);
  return slot.upload_id;
}

async function watch(run) {
  const ticket = (turn = {});
  let pause = run.poll_after_ms || 1000;
  for (let misses = 0; ; ) {
    advance(run);
    await sleep(pause);
    if (ticket !== turn) return;
    try {
      run = await mine("GET");
      misses = 0;
    } catch (error) {
      again = () => { progress("facts"); watch(run); };
      if (ticket !== turn) return;
      if (!undecided(error) || misses++ > 2) return fail(error);
      pause = Math.max(pause * 1.5, error.wait * 1000 || 0);
    }
    if (ticket !== turn) return;
    if (run.status === "completed") return finish(run);
    if (run.status === "failed") {
      again = () => show("place");
      return fail({ code: OUTAGE, ...run.error, reference: run.reference });
    }
    pause = Math.min(pause * 1.2, 5000);
  }
}

function progress(stage) {
  const began = Date.now();
  show("wait");
  $("#elapsed").textContent = "";
  advance({ stage });
  clock = setInterval(() => {
    const seconds = Math.round((Date.now() - began) / 1000);
    if (seconds > 9) $("#elapsed").textContent = `${seconds} seconds so far`;
  }, 1000);
}

function advance({ stage }) {
  const now = Math.max(stages.indexOf(stage), stage === stages[0] ? 0 : 1);
  if ($("[aria-current]") === $(".stages").children[now]) return;
  [...$(".stages").children].forEach((item, i) => {
    item.hidden = refining && !i;
    item.className = i < now ? "done" : "";
    item.ariaCurrent = i === now ? "step" : null;
  });
  say(STAGES[stages[now]]);
}

async function finish(run) {
  const { url, width, height } = run.result;
  const after = $("#after");
  again = () => { progress("composite"); watch(run); };
  const link = new URL(url, api); // soon expires
  after.src = $("#download").href = await fetch(link, { cache: "no-store" }).then((reply) => reply.blob()).then(URL.createObjectURL).catch(() => link);
  try {
    await after.decode();
  } catch {
    return fail(outage());
  }
  after.alt = `Your room with ${title}`;
  shown = run.id;
  frame(".compare", width / height);
  $("#size").textContent = run.dimensions_text ? `Shown true to size: ${run.dimensions_text}` : "";
  $("#approximate").hidden = !/estimat/.test(run.dimensions_text);
  $("#code").textContent = named(run);
  $("[data-do=move]").hidden = !(run.remaining_refinements > 0);
  pressed();
  const left = run.placement?.box?.x0;
  split(Math.max(0, (left ?? 0.55) * 100 - 5));
  show("result");
}

function split(at) {
  $("[type=range]").value = at;
  $(".compare").style.setProperty("--at", `${at}%`);
}

const pressed = (verdict) => ["up", "down"].forEach((way) => { $(`[data-do=${way}]`).ariaPressed = String(way === verdict); });

async function vote(verdict) {
  try {
    await call("POST", `composites/${shown}/feedback`, { verdict, visitor: visitor() });
    pressed(verdict);
    say("Thank you for telling us.");
  } catch {
    say("That did not reach us. Please try again.");
  }
}

async function remove() {
  again = remove;
  turn = null;
  try {
    for (; made.length; made.pop()) await mine("DELETE", made.at(-1)).catch((error) => { if (error.code !== "not_found") throw error; });
  } catch (error) {
    return fail(error);
  }
  file = refining = null;
  root.querySelectorAll(".photo img").forEach((image) => image.removeAttribute("src"));
  show("gone");
}

const named = ({ reference }) => (reference ? `Reference ${reference}` : "");

function fail({ code, message, retryable, wait, ...run }) {
  const [heading, hint, action] = ERRORS[code] || ["That did not work", message, retryable ? "retry" : "photo"];
  $("#error h2").textContent = heading;
  $("#hint").textContent = [hint, named(run)].join(" ");
  $("#retry").hidden = action !== "retry";
  $("#other").hidden = !action || !(file || action === "photo");
  $("#other").className = action === "photo" ? "main" : "";
  $("[data-do=leave]").textContent = refining ? "Back" : "Close";
  show("error");
  hold(code === "throttled" ? wait || 10 : 0);
}

async function hold(seconds) {
  const retry = $("#retry");
  for (retry.disabled = seconds > 0; seconds > 0 && view === "error"; seconds--) {
    retry.textContent = `Try again in ${seconds} s`;
    await sleep(1000);
  }
  retry.disabled = false;
  retry.textContent = "Try again";
}

function show(name) {
  view = name;
  clearInterval(clock);
  root.querySelectorAll("section").forEach((section) => { section.hidden = section.id !== name; });
  say("");
  focus();
}

function focus() {
  $(`#${view} h2`).focus();
  dialog.scrollTop = 0;
}

function say(words) {
  $("[role=status]").textContent = words;
}

async function check() {
  again = check;
  show("load");
  try {
    const product = await call("GET", `products/${encodeURIComponent(button.dataset.product)}`);
    title = $("header span").textContent = product.title;
    if (product.status === "ready") show("intro");
    else fail(failure(product.status === "preparing" ? "product_not_ready" : "unavailable"));
  } catch (error) {
    fail(error.code === "not_found" ? failure("unavailable") : error);
  }
}

function begin() {
  const { api: base = "/proxy/v1/", store, privacy, samples = "[]" } = button.dataset;
  api = new URL(base, document.baseURI);
  turn = file = refining = null;
  made = [];
  $("#store").textContent = store || location.hostname;
  $("#privacy").hidden = !privacy;
  $("#privacy").href = privacy;
  const rooms = JSON.parse(samples);
  $("#samples").hidden = !rooms.length;
  $(".thumbs").replaceChildren(...rooms.map(({ url, title: name, thumb }) => {
    const choice = document.createElement("button");
    const picture = new Image();
    picture.alt = "";
    picture.src = thumb;
    choice.append(picture, name);
    choice.onclick = () => agreed() && sample(url);
    return choice;
  }));
}

function listen() {
  const actions = {
    remove, submit,
    close: () => dialog.close(),
    leave: () => (refining ? show("result") : dialog.close()),
    pick: () => browse(false),
    take: () => browse(true),
    back: () => show("intro"),
    unmark: () => { mark(); $("#stage").focus(); },
    move: () => place(true),
    retry: () => again(),
    up: () => vote("up"),
    down: () => vote("down"),
  };
  root.addEventListener("click", ({ target }) => actions[target.closest("[data-do]")?.dataset.do]?.());
  dialog.addEventListener("close", () => button.focus());
  $("[type=checkbox]").onchange = () => { $("#must").textContent = ""; };
  $("[type=range]").oninput = ({ target }) => split(target.value);
  $("[type=file]").onchange = ({ target }) => {
    choose(target.files[0]);
    target.value = "";
  };
  const stage = $("#stage");
  const point = ({ clientX, clientY }) => {
    const { left, top, width, height } = stage.getBoundingClientRect();
    mark([(clientX - left) / width, (clientY - top) / height]);
  };
  stage.onkeydown = press;
  stage.onclick = point;
  $("#mark").onpointermove = (event) => {
    if (!event.buttons) return;
    $("#mark").setPointerCapture(event.pointerId);
    point(event);
  };
}

// Closed and opened again, it is as it was left.
export async function open(pressedButton, style) {
  const fresh = button !== pressedButton;
  button = pressedButton;
  if (!root.host.isConnected) {
    const link = $("link");
    await new Promise((done) => {
      link.onload = link.onerror = done;
      link.href = style;
      document.body.append(root.host);
    });
    listen();
  }
  if (fresh) begin();
  dialog.showModal();
  if (fresh || !file) check();
  else focus();
}
