// Lays the pages out as one document for paper, and makes fit what is too wide or too tall.
"use strict";

/** Build the document; returns the chapters `[{key, title}]`. */
globalThis.layOut = ({ pages, title, notes }) => {
  const read = readPages(pages, "print");
  const cover = make("section", { class: "cover" },
    make("p", { class: "book-title" }, title), make("p", { class: "book-line" }, notes.line));
  const about = make("section", { class: "about" }, ...notes.about.map((text) => make("p", {}, text)));
  const contents = make("nav", { class: "book-contents", "aria-label": "Contents" }, make("p", { class: "contents-title" }, "Contents"));
  const lines = contents.appendChild(make("div", { class: "lines" }));
  const running = [];
  for (const { key, title: words, element } of read) {
    lines.append(...entries(element));
    running.push(`.leaf#${CSS.escape(key)} { page: ${key}; }`);
    running.push(`@page ${key} { @top-left { content: ${JSON.stringify(words)}; } @top-right { content: counter(page); } }`);
  }
  document.head.append(make("style", {}, running.join("\n")));
  document.body.append(cover, about, contents, ...read.map(({ element }) => element));
  return read.map(({ key, title: words }) => ({ key, title: words }));
};

/** The lines of the contents for one page: its title and its sections, each with room for a number. */
function entries(leaf) {
  const line = (heading, id, level) => {
    const words = [...heading.childNodes].map((n) => n.cloneNode(true));
    const link = make("a", { href: `#${id}` }, make("span", { class: "words" }, ...words), make("span", { class: "number" }, ""));
    link.querySelectorAll("[id]").forEach((e) => e.removeAttribute("id"));
    return make("p", { class: level }, link);
  };
  const found = [line(leaf.querySelector("h1"), leaf.id, "of-chapter")];
  if (!leaf.dataset.name.startsWith("lectures/")) return found;
  for (const section of leaf.querySelectorAll(":scope > section > section[id]")) {
    const heading = section.querySelector(":scope > h2");
    if (heading) found.push(line(heading, section.id, "of-section"));
  }
  return found;
}

/** The texts that each heading is made of. */
globalThis.headings = () => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map((heading) => {
  const texts = document.createTreeWalker(heading, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) found.push(texts.currentNode.data);
  return found;
});

/** Fill in the numbers of the contents, by id. */
globalThis.numberContents = (numbers) => {
  for (const link of document.querySelectorAll(".book-contents a")) {
    link.querySelector(".number").textContent = numbers[link.hash.slice(1)] ?? "";
  }
};

const BRIEF = 9;  // characters: what a cell of a table does not break

/** Make fit what is wider than the text or taller than a page; returns what does not. */
globalThis.fit = ({ height, smallest, tallest, scale }) => {
  const where = (e) => `${e.closest(".leaf").dataset.name}: ${e.localName}.${e.getAttribute("class") ?? ""} ${e.textContent.trim().slice(0, 60)}`;
  const complaints = [];
  const tooWide = (e) => e.scrollWidth - e.clientWidth > 1;

  for (const code of document.querySelectorAll(".leaf pre")) {
    if (tooWide(code)) hang(code);
    if (tooWide(code)) complaints.push(`too wide: ${where(code)}`);
  }
  for (const formula of document.querySelectorAll(".leaf .katex-display")) {
    if (!tooWide(formula)) continue;
    const ratio = Math.floor((100 * formula.clientWidth) / formula.scrollWidth) / 100;
    formula.style.fontSize = `${ratio}em`;
    if (ratio < smallest || tooWide(formula)) complaints.push(`too wide (${ratio}): ${where(formula)}`);
  }
  for (const cell of document.querySelectorAll(".leaf :is(th, td)")) {
    cell.classList.toggle("brief", cell.textContent.trim().length < BRIEF);
  }
  for (const table of document.querySelectorAll(".leaf table")) {
    const box = table.parentElement.getBoundingClientRect();
    const room = box.right;
    if (table.getBoundingClientRect().right <= room + 1) continue;
    table.classList.add("wraps");
    for (let ratio = 1; table.getBoundingClientRect().right > room + 1; ratio -= 0.04) {
      if (ratio < smallest) {
        complaints.push(`too wide: ${where(table)}`);
        break;
      }
      table.style.fontSize = `${(0.88 * ratio).toFixed(3)}em`;
    }
  }
  for (const drawing of document.querySelectorAll(".leaf svg.figure-svg, .leaf img")) {
    const figure = drawing.closest("figure") ?? drawing;
    const words = figure.getBoundingClientRect().height - drawing.getBoundingClientRect().height;
    if (drawing.hasAttribute("width")) drawing.setAttribute("width", scale * drawing.getAttribute("width"));
    const most = tallest * height - words;  // the lines that lead to a figure stand on its page
    if (drawing.getBoundingClientRect().height > most) {
      drawing.style.height = `${most}px`;
      drawing.style.width = "auto";
    }
    const box = drawing.parentElement.getBoundingClientRect();
    if (drawing.getBoundingClientRect().right > box.right + 1) complaints.push(`too wide: ${where(drawing)}`);
  }
  for (const element of document.querySelectorAll(".leaf :is(table, .still)")) {
    element.classList.toggle("short", element.getBoundingClientRect().height < 0.4 * height);
  }
  return complaints;
};

/** Break the lines of a listing where they are too long, and let what goes on hang. */
function hang(code) {
  const lines = [[]];
  for (const child of code.childNodes) {
    child.textContent.split("\n").forEach((text, n) => {
      if (n) lines.push([]);
      if (!text) return;
      const piece = child.cloneNode(false);
      piece.textContent = text;
      lines.at(-1).push(piece);
    });
  }
  if (lines.length > 1 && !lines.at(-1).length) lines.pop();
  code.replaceChildren(...lines.map((pieces) => {
    const text = pieces.map((piece) => piece.textContent).join("");
    const indent = text.length - text.trimStart().length + 4;
    const line = make("span", { class: "line" }, ...pieces);
    line.style.paddingLeft = `${indent}ch`;
    line.style.textIndent = `-${indent}ch`;
    line.append("\n");
    return line;
  }));
  code.classList.add("hangs");
}
