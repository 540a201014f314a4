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
    const words = (page) =>
      [...page.querySelectorAll("[data-return]")].map((r) => r.querySelector(".chip").textContent);
    const before = words(document).join();
    const say = document.getElementById("announce");
    const now = words(fresh);
    if (say && now.length && now.join() !== before) say.textContent = `Return: ${now[0]}`;
    for (const part of parts()) {
      const latest = fresh.getElementById(part.id);
      if (!latest || part.contains(document.activeElement)) continue;
      const open = part.querySelector("details[open]");
      if (!open && latest.innerHTML !== part.innerHTML) part.innerHTML = latest.innerHTML;
    }
    const held = fresh.getElementById("moved");
    if (version && held) version.hidden = held.dataset.version === version.dataset.version;
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
