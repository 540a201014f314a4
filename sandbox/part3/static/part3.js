// Without this file everything works by reloading. With it, what the contractor and the mirror move
// moves on the open page too. What somebody is typing into is never touched.
(() => {
  const parts = () => document.querySelectorAll("[data-live][id]");
  if (!parts().length) return;
  const version = document.getElementById("moved");

  const refresh = async () => {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts()) {
      const now = fresh.getElementById(part.id);
      if (!now || part.contains(document.activeElement)) continue;
      const open = part.querySelector("details[open]");
      if (!open && now.innerHTML !== part.innerHTML) part.innerHTML = now.innerHTML;
    }
    const latest = fresh.getElementById("moved");
    if (version && latest) version.hidden = latest.dataset.version === version.dataset.version;
  };

  const loop = async () => {
    try {
      if (!document.hidden) await refresh();
    } catch {
      // the server is away for a moment; the next round sees
    }
    const moving = document.querySelector("[data-moving]");
    setTimeout(loop, moving ? 1500 : 4000);
  };
  setTimeout(loop, 1500);
})();
