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
  const step = (words, sign, by) => {
    const button = make("button", { type: "button", textContent: sign, title: words, "aria-label": words });
    button.disabled = !(place + by in images);
    button.addEventListener("click", () => onMove(images[place + by]));
    return button;
  };
  const shut = make("button", { type: "button", textContent: "Close", title: "Close (Esc)" });
  shut.addEventListener("click", onClose);
  const position = make("span", { textContent: place >= 0 ? `${counted(place + 1)} of ${counted(images.length)}` : "" });
  const [previous, next] = [step("Previous image (left arrow)", "←", -1), step("Next image (right arrow)", "→", 1)];
  const bar = make("div", { className: "closeup-bar" }, previous, position, next, shut);
  const facts = make("div", { className: "facts" }, pathLine(path, file, note));
  if (labels) facts.append(make("p", { className: "truth" }, "True class: ", make("strong", { textContent: classes[labels[image]] })));
  for (const each of models) {
    if (each.set === model.set) facts.append(answerOf(each, image, each === model && models.length > 1));
  }
  const words = path ?? `image ${image}`;
  const body = make("div", { className: "closeup-body" }, enlarged(places?.[image], file, words), facts);
  return make("div", { className: "closeup", role: "dialog", "aria-modal": "true", "aria-label": words }, bar, body);
}

/* The original where it can be had, else its thumbnail. A file elsewhere on the network is never asked for. */
function enlarged(place, file, description) {
  const stand = () => pictureOf(place, LARGE, description);
  if (!file || /^https?:/i.test(file)) return make("div", { className: "large" }, stand());
  const image = make("img", { alt: description });
  const box = make("div", { className: "large" }, stand());
  image.addEventListener("load", () => {
    image.classList.toggle("pixelated", image.naturalWidth <= 64);
    const { naturalWidth: width, naturalHeight: height } = image;
    if (width < LARGE) image.style.width = `${width >= height ? LARGE : (LARGE * width) / height}px`;
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
  const heading = make("h3", { textContent: model.name });
  if (model.set.labels) {
    const verdict = model.right(image) ? "right" : "wrong";
    heading.append(make("span", { className: `verdict-${verdict}`, textContent: ` ${verdict}` }));
  }
  const section = make("section", { className: "answers" }, heading, probabilityBars(model, image));
  section.classList.toggle("marked", marked);
  return section;
}
