/* The form that says which images are shown: its fields from a state of the view, and the state from its fields. */

const ANSWERS = [["", "right or wrong"], ["right", "right"], ["wrong", "wrong"]];
const THERE = [["", "anything"], ["right", "right there"], ["wrong", "wrong there"], ["opposite", "right in just one"]];
const ORDERS = [["", "as tested"], ["unsure", "least confident first"], ["sure", "most confident first"]];

function filterFields(models, model, state) {
  const { classes, labels } = model.set;
  const named = (images) => {
    const present = classes.map((name, label) => [name, `${name} (${counted(images[label])})`]).filter((_, label) => images[label]);
    return [["", "any"], ...present];
  };
  const names = (each) => each.map(({ name }) => [name, name]);
  const rivals = models.filter((each) => each.set === model.set && each !== model);
  const fields = [];
  if (models.length > 1) fields.push(choice("model", "Run", names(models), model.name));
  if (labels) fields.push(choice("true", "True class", named(model.own), state.true));
  fields.push(choice("predicted", "Predicted class", named(model.taken), state.predicted));
  if (labels) fields.push(choice("answer", "Answer", ANSWERS, state.answer));
  fields.push(shareField("from", "Confidence from %", state.from, "0"), shareField("below", "below %", state.below, "100"));
  if (labels && rivals.length) {
    fields.push(choice("other", "Compared with", [["", "no other run"], ...names(rivals)], state.other));
    if (state.other) fields.push(choice("there", "which is", THERE, state.there));
  }
  fields.push(choice("order", "Order", ORDERS, state.order));
  return fields;
}

function choice(name, words, options, value = "") {
  const made = options.map(([key, text]) => make("option", { value: key, textContent: text, selected: key === value }));
  const id = `browser-${name}`;
  return make("label", { for: id }, words, make("select", { name, id }, ...made));
}

/* A share is typed in per cent. */
function shareField(name, words, value, placeholder) {
  const shown = value === undefined ? "" : String(Number((100 * Number(value)).toFixed(4)));
  const id = `browser-${name}`;
  const properties = { name, id, type: "number", min: 0, max: 100, step: "any", value: shown, placeholder };
  return make("label", { for: id }, words, make("input", properties));
}

/* What the form says now, after `state` of `model`; what does not go together is dropped. */
function filtersOf(form, models, model, state) {
  const said = Object.fromEntries(new FormData(form));
  for (const name of ["from", "below"]) if (said[name] !== "") said[name] = String(Number((Number(said[name]) / 100).toFixed(8)));
  const next = models.find(({ name }) => name === said.model) ?? model;
  if (next.set !== model.set) said.true = said.predicted = said.other = said.there = ""; // of other images
  if (!said.other || said.other === next.name) said.other = said.there = "";
  else if (!state.other) said.there = "opposite"; // the images on which the two disagree
  return said;
}
