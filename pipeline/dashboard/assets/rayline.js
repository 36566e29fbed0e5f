// What the frame of a page does by itself: theme, keys, telling the server whether anybody looks, and healing.
(() => {
  "use strict";
  const PAGES = { l: "/lines", c: "/cameras", i: "/inspections", s: "/system", a: "/alarms" };
  let goes = false;

  function isDark() {
    return document.body.classList.contains("body--dark");
  }

  function switchTheme() {
    const dark = !isDark();
    const secure = window.location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `rayline_theme=${dark ? "dark" : "light"}; Path=/; Max-Age=31536000; SameSite=Strict${secure}`;
    setDark(dark);
  }

  function showKeys() {
    const keys = document.getElementById("keys");
    if (keys && !keys.open) keys.showModal();
  }

  function isTyping(target) {
    return target instanceof Element && target.closest("input, textarea, select, [contenteditable=true]") !== null;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (goes) {
      goes = false;
      if (PAGES[event.key]) window.location.assign(PAGES[event.key]);
      return;
    }
    if (event.key === "g") {
      goes = true;
      setTimeout(() => (goes = false), 1500);
    } else if (event.key === "?") showKeys();
    else if (event.key === "t") switchTheme();
  });

  // A page that nobody sees is not kept up to date.
  function tellHidden() {
    if (window.did_handshake) emitEvent("rayline_hidden", document.hidden);
    else setTimeout(tellHidden, 200);
  }
  document.addEventListener("visibilitychange", tellHidden);

  // The server ends a page whose session is over, and refuses its sockets: then the login is the way on.
  async function lookWhetherOver() {
    try {
      const answer = await fetch("/session", { headers: { accept: "application/json" } });
      if (answer.status === 200) window.location.reload();
    } catch {
      // the server is away: socket.io tries on
    }
  }

  function watchSocket() {
    if (!window.socket) return void setTimeout(watchSocket, 200);
    window.socket.on("disconnect", (reason) => {
      if (reason === "io server disconnect") window.location.reload();
    });
    window.socket.on("connect_error", lookWhetherOver);
    if (document.hidden) tellHidden();
  }
  watchSocket();

  // What was chosen stands in the page's address.
  function keep(told, gone) {
    const address = new URL(window.location.href);
    new URLSearchParams(told).forEach((value, name) => address.searchParams.set(name, value));
    gone.forEach((name) => address.searchParams.delete(name));
    window.history.replaceState(null, "", address);
  }

  window.rayline = { switchTheme, showKeys, keep };
})();
