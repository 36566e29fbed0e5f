// A link from another site comes without the cookie (SameSite=Strict); a request of this page's own has it.
fetch("/session", { headers: { accept: "application/json" } }).then(
  (answer) => {
    const next = document.querySelector("input[name=next]");
    if (answer.status === 204 && next) window.location.replace(next.value);
  },
  () => {}, // the server is away: sending the form will say so
);
