/* The image browser itself: filters, a page of pictures, and a close-up. Its state is the address's hash. */

const PAGE = 60; // pictures shown at once
const PRINTED = 1000; // pictures, at most

/* element: what it is built in. overlay: it covers the page, and is there only while the address asks for it. */
function imageBrowser(element, data, { overlay }) {
  const known = readAnswers(data), { models } = known;
  let state = null, found = null, shownFor = "", before = null;
  const count = make("p", { className: "count", role: "status" });
  const filters = make("form", { className: "filters", "aria-label": "Which images" });
  const grid = make("div", { className: "grid" }), pager = make("nav", { className: "pager", "aria-label": "Pages" });
  const stage = make("div", { className: "stage", tabIndex: -1 }), main = make("div", { className: "browser-main" });
  const header = make("header", {}, count);
  if (overlay) {
    const words = { type: "button", className: "back", textContent: "← Report", title: "Back to the report (Esc)" };
    const back = make("button", words);
    back.addEventListener("click", leave);
    header.prepend(back, make("h2", { textContent: "Images" }));
  }
  main.append(header, filters, grid, pager);
  element.append(main, stage);
  element.tabIndex = -1; // so that it can have the focus when it opens
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("change", () => go({ ...filtersOf(filters, models, found.model, state), page: "", image: "" }));

  function go(change, replace = false) {
    const address = addressOf({ ...state, ...change });
    if (replace) location.replace(address);
    else location.hash = address;
  }

  function leave() { location.hash = "report"; }

  function show() {
    state = models.length ? (readState(location.hash) ?? (overlay ? null : {})) : null;
    if (overlay) cover(state !== null);
    if (state === null) return;
    found = chosen(models, state);
    const now = addressOf({ ...state, image: "" });
    if (now !== shownFor) {
      shownFor = now;
      showFilters();
      showPage();
    }
    showCloseup();
  }

  /* Cover the page, or uncover it; the focus goes back to where it was. */
  function cover(covered) {
    const opened = covered && element.hidden;
    if (opened) before = document.activeElement; // before it is inert
    element.hidden = !covered;
    document.body.classList.toggle("browsing", covered);
    for (const other of document.body.children) if (other !== element) other.inert = covered;
    if (opened) element.focus({ preventScroll: true });
    if (!covered) {
      before?.focus({ preventScroll: true });
      before = null;
    }
  }

  function showFilters() {
    const reset = make("a", { href: addressOf({ model: state.model }), className: "reset", textContent: "All images" });
    const focused = document.activeElement?.id;
    filters.replaceChildren(...filterFields(models, found.model, state), reset);
    if (focused?.startsWith("browser-")) document.getElementById(focused)?.focus();
  }

  /* a page of pictures; whole: all pages at once, for printing */

  function showPage(whole = false) {
    const { model, images } = found, pages = Math.max(1, Math.ceil(images.length / PAGE));
    const page = Math.min(Math.max(1, Math.trunc(Number(state.page)) || 1), pages);
    const shown = whole ? images.slice(0, PRINTED) : images.slice((page - 1) * PAGE, page * PAGE);
    const all = images.length === model.count && !overlay; // whose number stands above
    const words = `${counted(images.length)} of ${counted(model.count)} image${model.count === 1 ? "" : "s"}`;
    count.textContent = all ? "" : words;
    grid.replaceChildren(...shown.map((image) => card(model, image, addressOf({ ...state, image }), !overlay)));
    if (!images.length) grid.append(make("p", { className: "note", textContent: "No image is like that." }));
    if (model.set.note) grid.prepend(make("p", { className: "note", textContent: model.set.note }));
    const link = (to, text) => make("a", { href: addressOf({ ...state, page: to === 1 ? "" : to, image: "" }), textContent: text });
    pager.replaceChildren();
    if (pages > 1) {
      if (page > 1) pager.append(link(page - 1, "← Previous"));
      pager.append(make("span", { textContent: `page ${counted(page)} of ${counted(pages)}` }));
      if (page < pages) pager.append(link(page + 1, "Next →"));
    }
    if (!whole) element.scrollTop = 0;
  }

  /* a close-up */

  function showCloseup() {
    const image = state.image === undefined ? -1 : Number(state.image);
    const { model, images } = found, had = stage.hidden ? undefined : stage.dataset.image;
    const open = Number.isInteger(image) && image >= 0 && image < model.count;
    stage.replaceChildren();
    stage.hidden = !open;
    main.inert = open;
    if (open) {
      const onMove = (to) => go({ image: to, page: pageOf(images.indexOf(to)) }, true);
      stage.dataset.image = image;
      stage.append(closeup(known, { model, images, image, onMove, onClose: () => go({ image: "" }) }));
      stage.focus({ preventScroll: true });
    } else if (had !== undefined) grid.querySelector(`[data-image="${had}"]`)?.focus();
  }

  const pageOf = (place) => (place < PAGE ? "" : Math.floor(place / PAGE) + 1);
  stage.addEventListener("click", ({ target }) => { if (target === stage) go({ image: "" }); });

  /* keyboard: arrows move between images, Esc closes */

  document.addEventListener("keydown", (event) => {
    if (state === null || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const open = !stage.hidden, field = event.target.closest?.("select, input"), { key } = event;
    let done = false;
    if (key === "Escape") done = open ? (go({ image: "" }), true) : field ? (field.blur(), true) : overlay && (leave(), true);
    else if (open && (key === "ArrowLeft" || key === "ArrowRight")) done = moved(key === "ArrowLeft" ? -1 : 1);
    else if (!open && !field && key.startsWith("Arrow")) done = stepped(key);
    if (done) event.preventDefault();
  });

  /* Show the image before or after; whether there is one. */
  function moved(by) {
    const place = found.images.indexOf(Number(state.image)) + by;
    if (!(place in found.images)) return false;
    go({ image: found.images[place], page: pageOf(place) }, true);
    return true;
  }

  /* Move the focus within the page of pictures; whether there was somewhere to move to. */
  function stepped(key) {
    const cards = [...grid.querySelectorAll(".card")], here = cards.indexOf(document.activeElement);
    if (here < 0) {
      if (!cards.length || (!overlay && key !== "ArrowRight")) return false; // the keys that scroll a page
      cards[0].focus();
      return true;
    }
    const columns = cards.filter(({ offsetTop }) => offsetTop === cards[0].offsetTop).length;
    const to = here + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    cards[to]?.focus();
    return to in cards;
  }

  addEventListener("hashchange", show);
  addEventListener("beforeprint", () => { if (state !== null) showPage(true); });
  addEventListener("afterprint", () => { if (state !== null) showPage(); });
  stage.hidden = true;
  show();
  return known;
}
