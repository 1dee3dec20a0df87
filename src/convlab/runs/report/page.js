/* The report: tables that sort and show that they scroll, curves that are switched, a threshold that is moved. */

const reportData = JSON.parse(document.getElementById("browser-data").textContent);
const images = imageBrowser(document.getElementById("images"), reportData, { overlay: true });

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const value = (row, column) => row.cells[column].dataset.value ?? "";
  table.tHead.addEventListener("click", ({ target }) => {
    const head = target.closest("button")?.closest("th");
    if (!head) return;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = (a, b) => {
      const [x, y] = [value(a, head.cellIndex), value(b, head.cellIndex)];
      if (x === "" || y === "") return (x === "") - (y === ""); // unknown values last, both ways
      const difference = head.classList.contains("n") ? x - y : x.localeCompare(y, undefined, { numeric: true });
      return down ? -difference : difference;
    };
    body.append(...[...body.rows].sort(order));
  });
}

/* a shadow at the edge beyond which a table goes on */

const watched = new ResizeObserver((entries) => entries.forEach(({ target }) => edges(target.closest(".scroll"))));

function edges(box) {
  const rest = box.scrollWidth - box.clientWidth - box.scrollLeft;
  box.parentElement.classList.toggle("more-left", box.scrollLeft > 1);
  box.parentElement.classList.toggle("more-right", rest > 1);
}

for (const box of document.querySelectorAll(".scroll")) {
  box.addEventListener("scroll", () => edges(box), { passive: true });
  watched.observe(box);
  if (box.firstElementChild) watched.observe(box.firstElementChild);
}

/* learning curves */

for (const curves of document.querySelectorAll(".curves")) {
  curves.addEventListener("change", ({ target }) => {
    for (const line of curves.querySelectorAll(`[data-series="${target.value}"]`)) line.classList.toggle("off", !target.checked);
  });
}

/* coverage against accuracy: every number was computed with the report, and is only looked up */

const coverage = JSON.parse(document.getElementById("coverage-data").textContent);

for (const figure of document.querySelectorAll("[data-coverage]")) {
  const rows = coverage[figure.dataset.coverage], slider = figure.querySelector("input"), dot = figure.querySelector("circle");
  const part = (name) => figure.querySelector(`[data-part="${name}"]`);
  const update = () => {
    const [threshold, answered, right, total, low, high, x, y] = rows[slider.value];
    const from = { model: figure.dataset.model, from: threshold };
    part("threshold").textContent = `${Number((100 * threshold).toFixed(2))} %`;
    part("answered").textContent = percent(answered / total);
    part("answered").href = addressOf(from);
    part("number").textContent = counted(answered);
    part("accuracy").textContent = answered ? percent(right / answered, 2) : "–";
    part("interval").textContent = `${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)} %`;
    part("wrong").textContent = `${counted(answered - right)} wrong`;
    part("wrong").href = addressOf({ ...from, answer: "wrong" });
    dot.setAttribute("visibility", x === null ? "hidden" : "visible");
    if (x !== null) {
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
    }
  };
  slider.addEventListener("input", update);
  if (slider.value !== slider.defaultValue) update(); // a browser that kept it over a reload
}

/* the worst mistakes, drawn when they come near */

function drawWorst(box) {
  if (box.childElementCount) return;
  const model = images.models.find(({ name }) => name === box.dataset.model);
  for (const image of box.dataset.images.split(" ").map(Number)) {
    box.append(card(model, image, addressOf({ model: model.name, answer: "wrong", order: "sure", image })));
  }
}

const worst = [...document.querySelectorAll(".worst")];
const near = new IntersectionObserver((found) => {
  for (const { isIntersecting, target } of found) if (isIntersecting) drawWorst(target);
}, { rootMargin: "400px" });
worst.forEach((box) => near.observe(box));

addEventListener("beforeprint", () => {
  worst.forEach(drawWorst);
  const shown = "details[open] img[loading=lazy], article > figure img[loading=lazy]";
  for (const picture of document.querySelectorAll(shown)) picture.loading = "eager";
});

/* the index: which part is being read, and on a small screen folded away */

const contents = document.querySelector(".index button");
const unfold = (open) => contents.setAttribute("aria-expanded", open);
contents.addEventListener("click", () => unfold(contents.getAttribute("aria-expanded") === "false"));
document.getElementById("contents").addEventListener("click", ({ target }) => { if (target.closest("a")) unfold(false); });
const entries = new Map([...document.querySelectorAll("#contents a")].map((link) => [link.hash.slice(1), link]));
const headings = [...entries.keys()].map((name) => document.getElementById(name));
let waiting = false;

function mark() {
  waiting = false;
  const read = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 3).at(-1) ?? headings[0];
  for (const [name, link] of entries) link.toggleAttribute("aria-current", name === read.id);
}

addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(mark); } }, { passive: true });
mark();
