/* An image as a card: its picture, and what a model says of it. */

const SMALL = 84, MIDDLE = 136; // CSS pixels of a picture, in a card and in a wide one

function probabilityBar(name, share, isTrue) {
  const fill = make("i");
  fill.style.width = `${(100 * share).toFixed(2)}%`;
  const track = make("span", { className: "probability", "aria-hidden": "true" }, fill);
  const said = [make("span", { textContent: name }), make("span", { textContent: percent(share) })];
  return make("li", { className: isTrue ? "is-true" : "" }, ...said, track);
}

/* The likeliest classes of an image. */
function probabilityBars(model, image) {
  const { classes, labels } = model.set;
  const bars = Array.from({ length: model.top }, (_, rank) => {
    const place = image * model.top + rank, label = model.best[place];
    return probabilityBar(classes[label], model.probabilities[place], labels !== null && label === labels[image]);
  });
  return make("ol", {}, ...bars);
}

/* A link to a close-up. wide: with the path and the likeliest classes. */
function card(model, image, address, wide = false) {
  const { classes, labels, paths, places } = model.set;
  const isWrong = labels !== null && !model.right(image), path = paths?.[image];
  const truth = isWrong ? make("span", { className: "mistaken", textContent: `not ${classes[labels[image]]}` }) : null;
  const frame = make("span", { className: "frame" }, pictureOf(places?.[image], wide ? MIDDLE : SMALL, ""));
  const link = make("a", { className: "card", href: address, title: path ?? "" }, frame);
  link.classList.toggle("wrong", isWrong);
  link.classList.toggle("wide", wide);
  link.dataset.image = image;
  if (wide) {
    const where = path ? make("span", { className: "where", textContent: path }) : null;
    link.append(make("span", { className: "text" }, where, probabilityBars(model, image), truth));
  } else {
    const guess = make("span", { className: "guess", textContent: classes[model.guess(image)] });
    const share = make("span", { className: "share", textContent: percent(model.confidence(image)) });
    link.append(make("span", { className: "caption" }, guess, share), ...(truth ? [truth] : []));
  }
  return link;
}
