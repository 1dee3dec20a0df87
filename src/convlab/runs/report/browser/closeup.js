/* One image, enlarged: its file, what every model says of it, and the way to the next. */

const PHOTO = /\.(bmp|gif|jfif|jpe|jpe?g|png|tiff?|webp)$/i;
const LARGE = 420; // CSS pixels of an enlarged picture

/* The address of a picture's own file from this page: null where the path names no file that a browser opens. */
function fileAddress(path, root) {
  if (!path) return null;
  if (/^https?:\/\/\S+$/i.test(path)) return path;
  if (!PHOTO.test(path)) return null;
  const escaped = path.split("/").map(encodeURIComponent).join("/");
  return path.startsWith("/") ? `file://${escaped}` : (root || "./") + escaped;
}

function closeup({ root, models }, { model, images, image, onMove, onClose }) {
  const { labels, classes, paths, places, note } = model.set;
  const path = paths?.[image], file = fileAddress(path, root), place = images.indexOf(image);
  const truth = labels && classes[labels[image]];
  const panel = make("div", { className: "closeup", role: "dialog", "aria-modal": "true", "aria-label": `Image ${path ?? image}` });
  const step = (words, sign, by) => {
    const button = make("button", { type: "button", textContent: sign, title: words, "aria-label": words });
    button.disabled = !(place + by in images);
    button.addEventListener("click", () => onMove(images[place + by]));
    return button;
  };
  const shut = make("button", { type: "button", textContent: "Close", title: "Close (Esc)" });
  shut.addEventListener("click", onClose);
  const position = place >= 0 ? `${counted(place + 1)} of ${counted(images.length)}` : "";
  const bar = make("div", { className: "closeup-bar" },
    step("Previous image (left arrow)", "←", -1), make("span", { textContent: position }), step("Next image (right arrow)", "→", 1), shut);
  const answers = models.filter(({ set }) => set === model.set).map((each) => answerOf(each, image, each === model && models.length > 1));
  const facts = make("div", { className: "facts" }, pathLine(path, file, note),
    truth === null ? null : make("p", { className: "truth" }, "True class: ", make("strong", { textContent: truth })), ...answers);
  panel.append(bar, make("div", { className: "closeup-body" }, enlarged(places?.[image], file, path ?? `image ${image}`), facts));
  return panel;
}

/* The original where it can be had, else its thumbnail. A file elsewhere on the network is never asked for. */
function enlarged(place, file, description) {
  const stand = () => pictureOf(place, LARGE, description);
  if (!file || /^https?:/i.test(file)) return make("div", { className: "large" }, stand());
  const image = make("img", { alt: description });
  const box = make("div", { className: "large" }, stand());
  image.addEventListener("load", () => {
    image.classList.toggle("pixelated", image.naturalWidth <= 64);
    if (image.naturalWidth < LARGE) image.style.width = `${image.naturalWidth >= image.naturalHeight ? LARGE : (LARGE * image.naturalWidth) / image.naturalHeight}px`;
    box.replaceChildren(image);
  });
  image.src = file; // where it is gone, or of a kind that browsers don't show, the thumbnail stays
  return box;
}

function pathLine(path, file, note) {
  if (!path) return note ? make("p", { className: "note", textContent: note }) : null;
  const copy = make("button", { type: "button", textContent: "Copy" , title: "Copy the path", className: "copy" });
  copy.addEventListener("click", async () => {
    await copied(path);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  const open = file && make("a", { href: file, target: "_blank", rel: "noreferrer noopener", textContent: "Open the file" });
  return make("p", { className: "path" }, make("code", { textContent: path }), " ", copy, " ", open);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no permission, or no secure page
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function answerOf(model, image, marked) {
  const { classes, labels } = model.set;
  const rows = Array.from({ length: model.top }, (_, place) => {
    const label = model.best[image * model.top + place], share = model.probabilities[image * model.top + place];
    return probabilityBar(classes[label], share, labels && label === labels[image]);
  });
  const verdict = labels === null ? "" : model.right(image) ? "right" : "wrong";
  return make("section", { className: `answers ${marked ? "marked" : ""}` },
    make("h3", {}, model.name, verdict && make("span", { className: `verdict-${verdict}`, textContent: ` ${verdict}` })), make("ol", {}, ...rows));
}

function probabilityBar(name, share, isTrue) {
  const fill = make("i");
  fill.style.width = `${(100 * share).toFixed(2)}%`;
  return make("li", { className: isTrue ? "is-true" : "" }, make("span", { textContent: name }), make("span", { textContent: percent(share) }),
    make("span", { className: "probability", "aria-hidden": "true" }, fill));
}
