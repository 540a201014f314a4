// Two conveniences; every page works without them.
"use strict";

// 1. Live progress: the server sends, every second or so, the same words and figures that a
//    reload would show. `data-live` names the stream, `data-show` the place of each value.
const live = document.querySelector("[data-live]");
if (live && "EventSource" in window) {
  const stream = new EventSource(live.dataset.live);
  const speak = live.querySelector("[aria-live]");
  let spoken = 0;

  stream.addEventListener("progress", (event) => {
    const now = JSON.parse(event.data);
    for (const [name, value] of Object.entries(now.show)) {
      for (const place of live.querySelectorAll(`[data-show="${name}"]`)) {
        place.textContent = value;
      }
    }
    for (const [name, [value, max]] of Object.entries(now.bars)) {
      const bar = live.querySelector(`progress[data-bar="${name}"]`);
      if (!bar) continue;
      if (max > 0) {
        bar.max = max;
        bar.value = value;
      } else {
        bar.removeAttribute("value");
      }
    }
    // a screen reader hears one sentence in fifteen seconds, not one a second
    if (speak && Date.now() - spoken > 15000) {
      spoken = Date.now();
      speak.textContent = now.sentence;
    }
  });

  stream.addEventListener("moved", () => {
    stream.close();
    window.location.reload();
  });
  window.addEventListener("pagehide", () => stream.close());
}

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

// A pressed button that takes a moment says so, and a second press is not sent.
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
