// Writes each page as a chapter of an EPUB: XHTML, its own styles, and the list of its sections.
"use strict";

globalThis.writeChapters = (pages) => readPages(pages, "epub").map(({ key, title, element }) => {
  const styles = [...element.querySelectorAll("style")].map((sheet) => {
    sheet.remove();
    return sheet.textContent;
  });
  for (const drawing of element.querySelectorAll("svg")) {
    drawing.removeAttribute("version");
    for (const image of drawing.querySelectorAll("image")) portable(image);
  }
  const images = [...element.querySelectorAll("img")].map((image) => {
    const path = new URL(image.src).pathname.slice(1);
    image.setAttribute("src", `images/${path.split("/").pop()}`);
    return path;
  });
  const sections = [...element.querySelectorAll(":scope > section > section[id]")]
    .map((section) => ({ id: section.id, title: section.querySelector(":scope > h2")?.textContent.trim() }))
    .filter((section) => section.title);
  return {
    key, title, images, sections,
    style: styles.join("\n"),
    body: new XMLSerializer().serializeToString(element),
    math: Boolean(element.querySelector("math")),
    svg: Boolean(element.querySelector("svg")),
  };
});

/** WebP is not read everywhere: Python turns what is marked so into PNG. */
function portable(image) {
  const address = image.getAttribute("xlink:href") ?? image.getAttribute("href");
  for (const name of ["xlink:href", "href"]) image.removeAttribute(name);
  image.setAttributeNS("http://www.w3.org/1999/xlink", "xlink:href", address);
}
