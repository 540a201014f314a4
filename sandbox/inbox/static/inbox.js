// New mail shows by itself; without this file a reload shows it.
(() => {
  const list = document.querySelector("[data-live]");
  if (!list) return;
  const look = async () => {
    try {
      if (!document.hidden && !list.contains(document.activeElement)) {
        const answer = await fetch(location.href);
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const now = fresh.getElementById(list.id);
        if (answer.ok && now && now.innerHTML !== list.innerHTML) list.innerHTML = now.innerHTML;
      }
    } catch {
      // the server is away for a moment; the next round sees
    }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
})();
