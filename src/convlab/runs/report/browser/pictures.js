"use strict";

/* Elements, numbers and pictures: what the browser's other files are made of. */

function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const counted = (number) => number.toLocaleString("en-US");

/* Never rounded up to certainty: 99.97 % is no 100 %. */
function percent(share, decimals = 1) {
  const text = (100 * share).toFixed(decimals);
  return `${share < 1 && text.startsWith("100") ? (100 - 10 ** -decimals).toFixed(decimals) : text} %`;
}

function unpacked(text, kind) {
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let place = 0; place < bytes.length; place++) bytes[place] = characters.charCodeAt(place);
  return new kind(bytes.buffer); // a typed array has the processor's order, which is little-endian everywhere
}

/* Where each picture of a set lies: { src, left, top, width, height, sheetWidth, sheetHeight }, or { src }. */
function placesOf(pictures) {
  if (!pictures) return null;
  if (pictures.embedded) return pictures.embedded.map((src) => ({ src }));
  const places = [];
  for (const { src, cell: [cellWidth, cellHeight], columns, sizes } of pictures.sheets) {
    const same = sizes.length === 3;
    const count = same ? sizes[0] : sizes.length / 2;
    for (let place = 0; place < count; place++) {
      const [width, height] = same ? [sizes[1], sizes[2]] : [sizes[2 * place], sizes[2 * place + 1]];
      places.push({
        src, width, height,
        left: (place % columns) * cellWidth, top: Math.floor(place / columns) * cellHeight,
        sheetWidth: columns * cellWidth, sheetHeight: Math.ceil(count / columns) * cellHeight,
      });
    }
  }
  return places;
}

/* A picture with no side above `side` CSS pixels; what is much smaller is enlarged without blurring. */
function pictureOf(place, side, description) {
  if (!place || place.width === 0) return make("span", { className: "no-picture", textContent: "no picture" });
  if (place.width === undefined) {
    const image = make("img", { src: place.src, alt: description, loading: "lazy", decoding: "async" });
    image.style.maxWidth = image.style.maxHeight = `${side}px`;
    return image;
  }
  const scale = side / Math.max(place.width, place.height);
  const box = make("span", { className: "picture", role: "img", "aria-label": description });
  box.classList.toggle("pixelated", scale >= 2 && place.width <= 64);
  Object.assign(box.style, {
    width: `${place.width * scale}px`, height: `${place.height * scale}px`,
    backgroundSize: `${place.sheetWidth * scale}px ${place.sheetHeight * scale}px`,
    backgroundPosition: `${-place.left * scale}px ${-place.top * scale}px`,
    backgroundImage: `url("${encodeURI(place.src)}")`,
  });
  return box;
}
