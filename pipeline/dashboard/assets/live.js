// Live pictures: one request for all cameras that can be seen, some times a second; who cannot be seen is not asked for.
(() => {
  "use strict";
  const EVERY_MS = 200;
  const AWAY_MS = 2000; // between two tries while the server does not answer
  const OLD_MS = 4000; // a picture that has not changed for so long is no live one

  const MOST = 64; // cameras in one question: the server answers for no more

  const inView = new Set();
  let from = 0; // whose turn it is, where more can be seen
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) inView.add(entry.target);
      else inView.delete(entry.target);
    }
  });

  function find() {
    for (const image of document.querySelectorAll("img[data-live]")) {
      if (image.tag !== undefined) continue;
      image.tag = "";
      image.shownAt = 0;
      observer.observe(image);
    }
    for (const image of inView) if (!image.isConnected) inView.delete(image);
  }

  function show(image, told, picture) {
    const before = image.src;
    image.src = URL.createObjectURL(picture);
    image.tag = told.tag;
    image.shownAt = performance.now();
    image.closest(".cam-picture")?.classList.add("has-picture");
    if (before.startsWith("blob:")) image.addEventListener("load", () => URL.revokeObjectURL(before), { once: true });
  }

  function tellOld() {
    const now = performance.now();
    for (const image of document.querySelectorAll("img[data-live]")) {
      const isOld = image.shownAt > 0 && now - image.shownAt > OLD_MS;
      image.closest(".cam-picture")?.classList.toggle("is-old", isOld);
    }
  }

  function nextOnes() {
    if (from >= inView.size) from = 0;
    const ones = [...inView].slice(from, from + MOST);
    from += MOST;
    return ones;
  }

  async function ask() {
    const wanted = new URLSearchParams();
    for (const image of nextOnes()) wanted.set(image.dataset.live, image.tag);
    const answer = await fetch(`/live?${wanted}`, { cache: "no-store" });
    if (answer.status === 401) window.location.reload();
    if (!answer.ok) return false;
    const body = await answer.arrayBuffer();
    const length = new DataView(body).getUint32(0);
    const told = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length)));
    let at = 4 + length;
    for (const one of told) {
      const picture = new Blob([new Uint8Array(body, at, one.bytes)], { type: "image/jpeg" });
      at += one.bytes;
      for (const image of inView) if (image.dataset.live === one.camera) show(image, one, picture);
    }
    return true;
  }

  async function turn() {
    const began = performance.now();
    let fine = true;
    find();
    tellOld();
    if (!document.hidden && inView.size > 0) {
      try {
        fine = await ask();
      } catch {
        fine = false; // the server is away: the frame of the page says so
      }
    }
    setTimeout(turn, fine ? Math.max(20, EVERY_MS - (performance.now() - began)) : AWAY_MS);
  }
  turn();
})();
