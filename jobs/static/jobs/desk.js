/* Every page works without this file; it keeps a live page polite and a form from being sent twice. */
"use strict";

document.documentElement.classList.add("scripted");

if (!document.cookie.includes("timezone=")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `timezone=${zone};path=/;max-age=31536000;samesite=lax`;
}

// A part that has not changed is not sent again; after some such answers it is asked for every other time only.
const parts = {};
const CALM = 3; // answers
document.addEventListener("htmx:configRequest", (event) => {
  const part = parts[event.detail.elt.id];
  if (part && part.path === event.detail.path) event.detail.headers["If-None-Match"] = part.tag;
});
document.addEventListener("htmx:beforeOnLoad", ({ detail: { elt, xhr, pathInfo } }) => {
  const part = parts[elt.id];
  if (xhr.status === 204 && part) part.calm += 1;
  else if (xhr.status === 200) parts[elt.id] = { path: pathInfo.requestPath, tag: xhr.getResponseHeader("ETag"), calm: 0, skipped: false };
});

// A part that fails twice in a row is not live: the page says so, and of when it is, until the part is answered again.
const missed = {}; // by part: how often in a row, and when it was answered last
let gone = "";
const sayStale = (text) => {
  const note = document.getElementById("stale"), words = note.querySelector("span");
  if (words.textContent === text) return;
  document.documentElement.classList.toggle("stale", text !== "");
  note.hidden = text === "";
  words.textContent = text;
  document.getElementById("said").textContent = text || toSay() || "";
};
const clock = (at) => {
  const style = { timeZone: document.documentElement.dataset.zone || undefined, dateStyle: "short", timeStyle: "short" };
  const [now, then] = [Date.now(), at].map((one) => new Date(one).toLocaleString("sv", style)); // 2001-12-31 23:59
  return then.slice(0, 10) === now.slice(0, 10) ? then.slice(11) : then;
};
["htmx:sendError", "htmx:timeout", "htmx:responseError"].forEach((failure) => document.addEventListener(failure, ({ detail: { elt, xhr } }) => {
  const part = (missed[elt.id] ??= { times: 0, last: performance.timeOrigin });
  part.times += 1;
  const text = document.getElementById("stale").dataset[xhr.status ? "failing" : "silent"];
  if (xhr.status === 404) gone = elt.dataset.gone || "";
  if (gone) sayStale(gone);
  else if (part.times > 1) sayStale(text.replace("{time}", `\u2066${clock(part.last)}\u2069`)); // isolated, left to right
}));
document.addEventListener("htmx:beforeOnLoad", ({ detail: { elt, xhr } }) => {
  if (xhr.status >= 400) return;
  missed[elt.id] = { times: 0, last: Date.now() };
  if (Object.values(missed).every(({ times }) => times < 2)) sayStale("");
});

// Somebody is at work in a part: he chooses rows or a value, types, marks a text to copy it, or reads a table that would close.
const busy = (part) => {
  const at = document.activeElement, marked = getSelection();
  return part.querySelector(".pick input:checked, [name=all]:checked")
    || (part.contains(at) && at.matches("input:not([type]), select, textarea"))
    || (!marked.isCollapsed && part.contains(marked.anchorNode))
    || part.matches("[data-hold]:has(details[open])");
};

// Ask for nothing then, nor while nobody looks, nor for what is gone.
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail, part = parts[elt.id];
  if (document.hidden || gone || busy(elt)) event.preventDefault();
  if (part && part.calm >= CALM && (part.skipped = !part.skipped)) event.preventDefault();
});
// Another tab may have changed the language or the time zone: such a part does not go with this page, which is opened anew for it.
const alike = (xhr) => {
  const { lang, dataset: { zone } } = document.documentElement;
  return (xhr.getResponseHeader("Content-Language") ?? lang) === lang && (xhr.getResponseHeader("Time-Zone") ?? zone) === zone;
};
const untouched = () => [...document.querySelectorAll("input:not([type=hidden]), select, textarea")].every((one) => {
  if (one.matches("select")) return one.selectedIndex === Math.max([...one.options].findIndex((each) => each.defaultSelected), 0);
  return ticks(one) ? one.checked === one.defaultChecked : one.value === one.defaultValue;
});
// Who began while the answer was under way keeps what he has; so it is asked for again, as if it had not come.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const { elt, xhr, shouldSwap } = detail, fits = alike(xhr);
  if (!shouldSwap || (fits && !busy(elt))) return;
  detail.shouldSwap = false;
  delete parts[elt.id];
  if (!fits && !busy(elt) && untouched()) location.assign(back.value);
});

// What somebody opened, scrolled or stands on stays so while a part is renewed. (htmx itself finds the focus again by its id.)
let opened = [], pushed = [], focused = null;
document.addEventListener("htmx:beforeSwap", () => {
  opened = [...document.querySelectorAll("details[data-keep][open]")].map((one) => one.id);
  pushed = [...document.querySelectorAll("main [id]")].filter((one) => one.scrollLeft || one.scrollTop).map((one) => [one.id, one.scrollLeft, one.scrollTop]);
  focused = document.activeElement;
});
document.addEventListener("htmx:afterSwap", () => {
  opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  pushed.forEach(([id, left, top]) => document.getElementById(id)?.scrollTo({ left, top, behavior: "instant" }));
  if (focused?.isConnected && focused !== document.body) focused.focus({ preventScroll: true });
});

// What a screen reader is told of a part that is renewed: once, when it is another than before.
const toSay = () => document.querySelector("[data-say]")?.dataset.say;
let told = toSay();
document.addEventListener("htmx:afterSwap", () => {
  if (toSay() !== told) document.getElementById("said").textContent = told = toSay();
});

// On a narrow screen the row of pages scrolls: show the one that is open.
document.querySelectorAll(".nav [aria-current], .tabs [aria-current]").forEach((one) => {
  const row = one.closest(".nav, .tabs");
  row.scrollLeft += one.getBoundingClientRect().left + one.offsetWidth / 2 - row.getBoundingClientRect().left - row.offsetWidth / 2;
});

// The login has expired: show the login page, not a login form inside the page. Never by a reload: this page may answer a form, which would be sent again.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, pathInfo } = event.detail;
  const asked = new URL(pathInfo.requestPath, location.href), answered = new URL(xhr.responseURL || asked);
  if (answered.pathname !== asked.pathname) {
    event.preventDefault();
    keep({ sure: true, secrets: false });
    location.assign(answered);
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  if (event.target.hasAttribute("data-once")) event.target.dataset.sent = "1";
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-once]").forEach((form) => delete form.dataset.sent));

// A choice by the keyboard passes the others on its way: only the button goes on.
let keyed = false;
document.addEventListener("keydown", () => { keyed = true; }, true);
document.addEventListener("pointerdown", () => { keyed = false; }, true);
document.addEventListener("change", (event) => {
  if (event.target.matches(".tick-all input")) {
    event.target.closest("table").querySelectorAll(".pick input[name]").forEach((one) => { one.checked = event.target.checked; });
  }
  if (event.target.matches("[data-reload]") && !keyed) event.target.form.requestSubmit();
});

// A menu closes with Escape, and when somebody goes on elsewhere.
document.addEventListener("keydown", ({ key }) => {
  const menu = document.querySelector(".menu[open]");
  if (key !== "Escape" || !menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
document.addEventListener("click", ({ target }) => {
  document.querySelectorAll(".menu[open]").forEach((menu) => { if (!menu.contains(target)) menu.open = false; });
});
document.addEventListener("focusout", ({ target, relatedTarget }) => {
  const menu = target.closest(".menu[open]");
  if (menu && relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
});

// What was typed comes along to the page that is opened anew: in another language or other colours, and after a login that had ended.
// A tick belongs to its value, not to its place: there may be new rows above it.
const fields = () => [...document.querySelectorAll("main form[method=post] :is(input[name]:not([type=hidden]), select, textarea)")];
const ticks = (one) => one.matches("[type=radio], [type=checkbox]");
const names = (all) => [...new Set(all.map((one) => one.name))].join(" ");
const back = document.querySelector(".top [name=next]"); // where this page is opened again; a login has none
const here = () => ({ page: new URL(back.value, location).pathname, who: document.querySelector(".menu bdi")?.textContent });
const keep = ({ sure, secrets }) => {
  const all = fields().map((one) => ({
    name: one.name,
    value: !secrets && one.matches("[data-secret], [type=password]") ? null : one.value,
    ticked: ticks(one) ? one.checked : null,
  }));
  sessionStorage.typed = JSON.stringify({ ...here(), all, sure });
};
document.addEventListener("submit", ({ target }) => {
  if (!back || !target.matches("form[method=post]")) return;
  delete sessionStorage.typed; // who logs out leaves nothing
  if (target.matches(".top :has([name=next])")) keep({ sure: true, secrets: true });
  else if (target.closest("main")) keep({ sure: false, secrets: false });
});
const bring = ({ all, sure, page, who }) => {
  // What was sent is not brought back, unless the server says that the login had ended.
  if (!sure && !document.getElementById("send-again")) return;
  if (page !== here().page || who !== here().who || names(all) !== names(fields())) return;
  fields().forEach((one) => {
    const found = all.find(({ name, value, ticked }) => name === one.name && (ticked === null || value === one.value));
    if (!found || found.value === null) return;
    if (ticks(one)) one.checked = found.ticked;
    else one.value = found.value;
  });
};
if (back && sessionStorage.typed) {
  bring(JSON.parse(sessionStorage.typed));
  delete sessionStorage.typed;
}

// What is filled in beside a choice makes it the choice, and another choice empties it.
document.addEventListener("input", ({ target }) => {
  const option = target.closest(".option"), radio = option?.querySelector("[type=radio]");
  if (!radio) return;
  radio.checked = true;
  option.parentElement.querySelectorAll(".option input:not([type=radio])").forEach((one) => { if (!option.contains(one)) one.value = ""; });
});

// Keys that are letters can be turned off: who speaks to the computer, or hits keys unawares, sets off none.
const { dataset } = document.documentElement;
dataset.letters = localStorage.letters || "on";
document.addEventListener("click", ({ target }) => {
  if (target.closest("#letters")) dataset.letters = localStorage.letters = dataset.letters === "on" ? "off" : "on";
});

// In a list of jobs: arrows (or j and k) go from row to row, x chooses the row. Where the focus is nowhere, j and k begin with the first row.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const key = event.key > "~" ? event.code.slice(-1).toLowerCase() : event.key; // a keyboard without Latin letters: what lies in the place
  if (key.length === 1 && dataset.letters === "off") return;
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[key];
  const row = event.target.closest("[data-keys] tbody tr");
  if (row && step) {
    const rows = [...row.parentElement.rows];
    const next = rows[rows.indexOf(row) + step];
    const kind = event.target.matches("input") ? "input" : "a";
    if (next) (next.querySelector(kind) || next.querySelector("a"))?.focus();
    event.preventDefault();
  } else if (row && key === "x") {
    row.querySelector(".pick input")?.click();
  } else if (event.target === document.body && step && key.length === 1) {
    document.querySelector("[data-keys] tbody a")?.focus();
  }
});
