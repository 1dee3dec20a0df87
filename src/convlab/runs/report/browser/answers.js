/* The models' answers, and the state of the view: which of them are shown, as it stands in the address. */

const FIELDS = ["model", "true", "predicted", "answer", "from", "below", "other", "there", "order", "page", "image"];

function readAnswers({ models, sets, root }) {
  const read = sets.map(({ classes, labels, paths, pictures, note }) => ({
    classes, note,
    labels: labels && unpacked(labels, Uint16Array),
    paths: paths && paths.rest.map((rest) => paths.before + rest),
    places: placesOf(pictures),
  }));
  return {
    root,
    models: models.map(({ name, set, top, best, probabilities }) => {
      const known = read[set];
      const shares = unpacked(probabilities, Float32Array);
      const model = { name, set: known, top, best: unpacked(best, Uint16Array), probabilities: shares };
      model.count = top ? model.best.length / top : 0;
      model.guess = (image) => model.best[image * top];
      model.confidence = (image) => model.probabilities[image * top];
      model.taken = counts(known.classes.length, model.count, model.guess); // images by predicted class
      model.own = known.labels && counts(known.classes.length, model.count, (image) => known.labels[image]);
      model.right = (image) => known.labels !== null && model.guess(image) === known.labels[image];
      return model;
    }),
  };
}

function counts(numClasses, numImages, classOf) {
  const found = new Uint32Array(numClasses);
  for (let image = 0; image < numImages; image++) found[classOf(image)]++;
  return found;
}

/* "#images?model=lenet&answer=wrong" as an object, with only what is known; null for other addresses. */
function readState(hash) {
  if (!/^#images(\?|$)/.test(hash)) return null;
  const found = new URLSearchParams(hash.slice("#images?".length));
  return Object.fromEntries(FIELDS.filter((field) => found.get(field)).map((field) => [field, found.get(field)]));
}

function addressOf(state) {
  const said = new URLSearchParams();
  for (const field of FIELDS) if (state[field] !== undefined && state[field] !== "") said.set(field, state[field]);
  return `#images?${said}`;
}

/* The images that a state asks for, in its order. */
function chosen(models, state) {
  const model = models.find(({ name }) => name === state.model) ?? models[0];
  const { classes, labels } = model.set;
  const other = models.find(({ name, set }) => name === state.other && set === model.set);
  const truth = classes.indexOf(state.true), guess = classes.indexOf(state.predicted);
  const from = Number(state.from ?? 0), below = Number(state.below ?? Infinity);
  const images = [];
  for (let image = 0; image < model.count; image++) {
    if (truth >= 0 && labels?.[image] !== truth) continue;
    if (guess >= 0 && model.guess(image) !== guess) continue;
    const right = model.right(image), confidence = model.confidence(image);
    if (labels && state.answer === "right" && !right) continue;
    if (labels && state.answer === "wrong" && right) continue;
    if (confidence < from || confidence >= below) continue;
    if (other && labels && state.there) {
      const there = other.right(image);
      if (state.there === "right" ? !there : state.there === "wrong" ? there : there === right) continue;
    }
    images.push(image);
  }
  const sign = { sure: -1, unsure: 1 }[state.order];
  if (sign) images.sort((a, b) => sign * (model.confidence(a) - model.confidence(b)) || a - b);
  return { model, other, images };
}
