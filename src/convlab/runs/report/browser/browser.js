/* The image browser itself: filters, a page of pictures, and a close-up. Its state is the address's hash. */

const PAGE = 60; // pictures shown at once
const PRINTED = 1000; // pictures, at most
const SMALL = 84; // CSS pixels of a picture
const THERE = { right: "right there", wrong: "wrong there", opposite: "right in just one" };

/* element: what it is built in. overlay: it covers the page, and is there only while the address asks for it. */
function imageBrowser(element, data, { overlay }) {
  const known = readAnswers(data), { models } = known;
  let state = null, found = null, shownFor = "", before = null;
  const heading = make("h2", { textContent: overlay ? "Images" : "" });
  const count = make("p", { className: "count", role: "status" });
  const filters = make("form", { className: "filters", "aria-label": "Which images" });
  const grid = make("div", { className: "grid" }), pager = make("nav", { className: "pager", "aria-label": "Pages" });
  const stage = make("div", { className: "stage" }), main = make("div", { className: "browser-main" });
  const back = make("button", { type: "button", className: "back", textContent: "← Report", title: "Back to the report (Esc)" });
  back.addEventListener("click", leave);
  main.append(make("header", {}, overlay ? back : null, overlay ? heading : null, count), filters, grid, pager);
  element.append(main, stage);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("change", () => go({ ...fromFilters(), page: "", image: "" }));

  function go(change, replace = false) {
    const address = addressOf({ ...state, ...change });
    if (replace) location.replace(address);
    else location.hash = address;
  }

  function leave() { location.hash = "report"; }

  function show() {
    state = readState(location.hash) ?? (overlay ? null : {});
    if (overlay) {
      element.hidden = state === null;
      document.body.classList.toggle("browsing", state !== null);
      for (const other of document.body.children) if (other !== element) other.inert = state !== null;
      if (state === null) {
        before?.focus({ preventScroll: true });
        before = null;
        return;
      }
      before ??= document.activeElement;
    }
    found = chosen(models, state);
    const now = addressOf({ ...state, image: "" });
    if (now !== shownFor) {
      shownFor = now;
      showFilters();
      showPage();
    }
    showCloseup();
  }

  /* filters */

  function select(name, words, options, value) {
    const choice = make("select", { name, id: `browser-${name}` }, ...options.map(([key, text]) => make("option", { value: key, textContent: text, selected: key === (value ?? "") })));
    return make("label", { for: `browser-${name}` }, words, choice);
  }

  function share(name, words, value) {
    const shown = value === undefined ? "" : String(Number((100 * Number(value)).toFixed(4)));
    const input = make("input", { name, id: `browser-${name}`, type: "number", min: 0, max: 100, step: "any", value: shown, placeholder: name === "from" ? "0" : "100" });
    return make("label", { for: `browser-${name}` }, words, input);
  }

  function showFilters() {
    const { model } = found, { labels } = model.set;
    const named = (images) => [["", "any"], ...model.set.classes.map((name, label) => [name, `${name} (${counted(images[label])})`]).filter((_, label) => images[label])];
    const rivals = models.filter((each) => each.set === model.set && each !== model).map(({ name }) => [name, name]);
    const fields = [
      models.length > 1 && select("model", "Run", models.map(({ name }) => [name, name]), model.name),
      labels && select("true", "True class", named(model.own), state.true),
      select("predicted", "Predicted class", named(model.taken), state.predicted),
      labels && select("answer", "Answer", [["", "right or wrong"], ["right", "right"], ["wrong", "wrong"]], state.answer),
      share("from", "Confidence from %", state.from),
      share("below", "below %", state.below),
      labels && rivals.length && select("other", "Compared with", [["", "no other run"], ...rivals], state.other),
      labels && rivals.length && state.other && select("there", "which is", [["", "anything"], ...Object.entries(THERE)], state.there),
      select("order", "Order", [["", "as tested"], ["unsure", "least confident first"], ["sure", "most confident first"]], state.order),
    ];
    const reset = make("a", { href: addressOf({ model: state.model }), className: "reset", textContent: "All images" });
    const focused = document.activeElement?.id;
    filters.replaceChildren(...fields.filter(Boolean), reset);
    if (focused?.startsWith("browser-")) document.getElementById(focused)?.focus();
  }

  function fromFilters() {
    const said = Object.fromEntries(new FormData(filters));
    for (const name of ["from", "below"]) said[name] = said[name] === "" || Number.isNaN(Number(said[name])) ? "" : String(Number((Number(said[name]) / 100).toFixed(8)));
    if (said.model !== undefined && said.model !== found.model.name && !models.some(({ name, set }) => name === said.model && set === found.model.set)) {
      said.true = said.predicted = said.other = said.there = ""; // of other images
    }
    if (!said.other || said.other === said.model) said.other = said.there = "";
    else if (!said.there && !state.other) said.there = "opposite";
    return said;
  }

  /* a page of pictures */

  function showPage(whole = false) {
    const { model, images } = found, pages = Math.max(1, Math.ceil(images.length / PAGE));
    const page = Math.min(Math.max(1, Math.trunc(Number(state.page)) || 1), pages);
    const shown = whole ? images.slice(0, PRINTED) : images.slice((page - 1) * PAGE, page * PAGE);
    const all = images.length === model.count && !overlay; // whose number stands above
    count.textContent = all ? "" : `${counted(images.length)} of ${counted(model.count)} image${model.count === 1 ? "" : "s"}`;
    grid.replaceChildren(...shown.map((image) => card(model, image)));
    if (!images.length) grid.append(make("p", { className: "note", textContent: "No image is like that." }));
    if (model.set.note && model.set.places === null) grid.prepend(make("p", { className: "note", textContent: model.set.note }));
    grid.scrollTop = 0;
    const link = (to, words) => make("a", { href: addressOf({ ...state, page: to === 1 ? "" : to, image: "" }), textContent: words });
    pager.replaceChildren(...(pages === 1 ? [] : [page > 1 ? link(page - 1, "← Previous") : "", make("span", { textContent: `page ${counted(page)} of ${counted(pages)}` }), page < pages ? link(page + 1, "Next →") : ""]));
    if (!whole) element.scrollTop = 0;
  }

  function card(model, image) {
    const { classes, labels, paths, places } = model.set;
    const guess = classes[model.guess(image)], truth = labels && classes[labels[image]];
    const wrong = labels !== null && !model.right(image);
    const path = paths?.[image];
    const caption = make("span", { className: "caption" }, make("span", { className: "guess", textContent: guess }), make("span", { className: "share", textContent: percent(model.confidence(image)) }));
    const words = wrong ? make("span", { className: "mistaken", textContent: `not ${truth}` }) : null;
    const where = overlay || !path ? null : make("span", { className: "where", textContent: path });
    const bars = overlay ? null : make("ol", {}, ...Array.from({ length: model.top }, (_, place) => probabilityBar(classes[model.best[image * model.top + place]], model.probabilities[image * model.top + place], labels !== null && model.best[image * model.top + place] === labels[image])));
    const link = make("a", { className: `card ${wrong ? "wrong" : ""} ${overlay ? "" : "wide"}`, href: addressOf({ ...state, image }), title: path ?? "" });
    link.append(make("span", { className: "frame" }, pictureOf(places?.[image], overlay ? SMALL : 136, "")), overlay ? caption : make("span", { className: "text" }, where, words, bars));
    if (overlay && words) link.append(words);
    link.dataset.image = image;
    return link;
  }

  /* a close-up */

  function showCloseup() {
    const image = state.image === undefined ? -1 : Number(state.image);
    const { model, images } = found;
    const had = stage.firstChild && stage.dataset.image;
    stage.replaceChildren();
    main.inert = false;
    if (!(Number.isInteger(image) && image >= 0 && image < model.count)) {
      stage.hidden = true;
      if (had) grid.querySelector(`[data-image="${had}"]`)?.focus();
      return;
    }
    stage.hidden = false;
    stage.dataset.image = image;
    stage.append(closeup(known, { model, images, image, onMove: (to) => go({ image: to }, true), onClose: () => go({ image: "" }) }));
    main.inert = true;
    stage.tabIndex = -1;
    stage.focus({ preventScroll: true });
  }
  stage.addEventListener("click", ({ target }) => { if (target === stage) go({ image: "" }); });

  /* keyboard: arrows move between images, Esc closes */

  document.addEventListener("keydown", (event) => {
    if (state === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const open = state.image !== undefined, field = event.target.closest?.("select, input");
    if (event.key === "Escape") {
      if (open) go({ image: "" });
      else if (overlay) leave();
      else return;
    } else if (open && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      const place = found.images.indexOf(Number(state.image)) + (event.key === "ArrowLeft" ? -1 : 1);
      if (place in found.images) go({ image: found.images[place], page: pageOf(place) }, true);
    } else if (!open && !field && event.key.startsWith("Arrow")) {
      if (!stepped(event.key)) return;
    } else return;
    event.preventDefault();
  });

  const pageOf = (place) => (place < PAGE ? "" : Math.floor(place / PAGE) + 1);

  /* Move the focus within the page of pictures; whether there was somewhere to move to. */
  function stepped(key) {
    const cards = [...grid.querySelectorAll(".card")], here = cards.indexOf(document.activeElement);
    if (here < 0) {
      if (!overlay && key !== "ArrowRight") return false; // the keys that scroll a page
      cards[0]?.focus();
      return cards.length > 0;
    }
    const columns = cards.filter(({ offsetTop }) => offsetTop === cards[0].offsetTop).length;
    const to = here + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    cards[to]?.focus();
    return to in cards;
  }

  addEventListener("hashchange", show);
  addEventListener("beforeprint", () => { if (state !== null) showPage(true); });
  addEventListener("afterprint", () => { if (state !== null) showPage(); });
  show();
  return known;
}
