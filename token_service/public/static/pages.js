// Conveniences; every page works without them.
"use strict";

// 1. Live progress: the server sends, every second or so, the same words and figures that a
//    reload would show. `data-live` names the stream, `data-show` the place of each value.
const live = document.querySelector("[data-live]");
const AGAIN_MS = 10000;
let spoken = 0;

function show(now) {
  for (const [name, value] of Object.entries(now.show)) {
    for (const place of live.querySelectorAll(`[data-show="${name}"]`)) place.textContent = value;
  }
  for (const [name, [value, max]] of Object.entries(now.bars)) {
    const bar = live.querySelector(`progress[data-bar="${name}"]`);
    if (bar && max > 0) {
      bar.max = max;
      bar.value = value;
    } else if (bar) {
      bar.removeAttribute("value");
    }
  }
  // a screen reader hears one sentence in fifteen seconds, not one a second
  const speak = live.querySelector("[aria-live]");
  if (speak && Date.now() - spoken > 15000) {
    spoken = Date.now();
    speak.textContent = now.sentence;
  }
}

function follow() {
  const stream = new EventSource(live.dataset.live);
  stream.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  stream.addEventListener("moved", () => {
    stream.close();
    window.location.reload();
  });
  // the browser comes back by itself after a cut, but not after an answer like 503
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) window.setTimeout(follow, AGAIN_MS);
  });
  window.addEventListener("pagehide", () => stream.close(), { once: true });
}

if (live && "EventSource" in window) follow();

// 2. Narrow a list of choices while typing; pressing Search asks the server instead.
const box = document.querySelector("input[data-narrows]");
if (box) {
  const choices = [...document.querySelectorAll(`#${box.dataset.narrows} > li`)];
  const told = document.getElementById(box.dataset.tells);
  const narrow = () => {
    const sought = box.value.trim().toLocaleLowerCase();
    let left = 0;
    for (const choice of choices) {
      const fits = choice.textContent.toLocaleLowerCase().includes(sought);
      choice.hidden = !fits && !choice.querySelector("input:checked");
      left += fits ? 1 : 0;
    }
    if (told) told.textContent = `${left} shown`;
  };
  box.addEventListener("input", narrow);
}

// 3. Times in the reader's own zone; the page says UTC, and so does the tooltip.
const local = new Intl.DateTimeFormat(document.documentElement.lang, {
  dateStyle: "medium",
  timeStyle: "short",
});
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  time.title = time.textContent;
  time.textContent = local.format(at);
}

// 4. A pressed button that takes a moment says so, and a second press is not sent.
for (const form of document.querySelectorAll("form[method='post']")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });
  window.addEventListener("pageshow", () => {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
  });
}
