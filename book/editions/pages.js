// Turns pages of the built site into pages without scripts: for paper, or for an e-reader.
"use strict";

/** Read the pages `[{name, key, html}]`; `form` is "print" or "epub". Returns `[{key, title, element}]`. */
globalThis.readPages = (pages, form) => {
  const keys = new Map(pages.map(({ name, key }) => [name, key]));
  return pages.map((page) => new Page(page, keys, form).read());
};

const plain = (id) => id.replace(/[^\w.-]/g, "-").replace(/^(?=[^A-Za-z_])/, "n");
const make = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};

/** MathML as its standard wants it: KaTeX puts rows into words, and a third part under a letter. */
function strict(math) {
  for (const word of math.querySelectorAll("mo, mi, mn, mtext")) word.textContent = word.textContent;
  for (const applied of math.querySelectorAll(":is(msub, msup) > :nth-child(3)")) {
    if (applied.textContent === "\u2061") applied.remove();
  }
  return math;
}

/** Take the brackets off a link that goes. */
function bare(link) {
  const { previousSibling: before, nextSibling: after } = link;
  if (!before?.data?.endsWith(" (") || !after?.data?.startsWith(")")) return;
  before.data = before.data.slice(0, -2);
  after.data = after.data.slice(1);
}

class Page {
  constructor({ name, key, html }, keys, form) {
    Object.assign(this, { name, key, keys, form });
    const parsed = new DOMParser().parseFromString(html, "text/html");
    this.article = parsed.querySelector("article");
  }

  all(selector) {
    return [...this.article.querySelectorAll(selector)];
  }

  read() {
    for (const part of this.all("script, .headerlink, details.hide, style[data-course-part]")) part.remove();
    this.all("*").filter((e) => e.localName.startsWith("course-")).forEach((e) => this.still(e));
    this.all("details").forEach((e) => this.unfold(e));
    this.formulas();
    this.addresses();
    this.styles();
    const title = this.article.querySelector("h1");
    const element = make("section", { id: this.form === "print" ? this.key : "page", class: "leaf" });
    element.dataset.name = this.name;
    element.append(...this.article.childNodes);
    return { key: this.key, title: title ? title.textContent.trim() : this.name, element };
  }

  /** The static form of an interactive figure, and where the live one is. */
  still(figure) {
    const box = make("div", { class: `still ${figure.localName}` }, ...figure.childNodes);
    if (figure.localName === "course-quiz") {
      const answers = [...box.querySelectorAll("details")].map((folded) => {
        const item = make("li", {}, ...folded.querySelector("ul").childNodes);
        item.replaceChildren(make("ul", {}, ...item.childNodes));
        folded.remove();
        return item;
      });
      box.append(make("p", { class: "answers" }, make("strong", {}, "Answers")), make("ol", { class: "answers" }, ...answers));
    } else {
      const where = `${this.name}.html`;
      box.append(make("p", { class: "live" }, "On the site, this figure can be played with: ", make("code", {}, where)));
    }
    figure.replaceWith(box);
  }

  unfold(folded) {
    const line = folded.querySelector(":scope > summary");
    const box = make("div", { class: folded.className });
    if (folded.id) box.id = folded.id;
    if (line) line.replaceWith(make("p", { class: line.className }, ...line.childNodes));
    box.append(...folded.childNodes);
    folded.replaceWith(box);
  }

  /** Of each formula either what is drawn or what is said in MathML. */
  formulas() {
    for (const formula of this.all(".katex")) {
      const math = formula.querySelector("math");
      const drawn = formula.querySelector(".katex-html");
      if (this.form === "print") {
        math.closest(".katex-mathml").remove();
        drawn.removeAttribute("aria-hidden");
      } else {
        formula.replaceWith(strict(math));
      }
    }
  }

  /** What an id of the page at `key` is called in the edition. */
  anchor(key, id) {
    if (this.form === "print") return id ? `${key}--${plain(id)}` : key;
    return id ? plain(id) : "page";
  }

  addresses() {
    for (const element of this.all("[id]")) element.id = this.anchor(this.key, element.id);
    const own = (id) => this.anchor(this.key, id);
    const here = new Set(this.all("[id]").map((element) => element.id));
    for (const element of this.all("*")) {
      for (const { name, value } of [...element.attributes]) {
        if (name === "href" && element.localName === "a") this.lead(element);
        else if (name.endsWith("href") && value.startsWith("#")) element.setAttribute(name, `#${own(value.slice(1))}`);
        else if (value.includes("url(#")) {
          element.setAttribute(name, value.replace(/url\(#([^)]+)\)/g, (_, id) => `url(#${own(id)})`));
        } else if (["aria-labelledby", "aria-describedby"].includes(name)) {
          const ids = value.split(/\s+/).map(own).filter((id) => here.has(id));
          if (ids.length) element.setAttribute(name, ids.join(" "));
          else element.removeAttribute(name);
        }
      }
    }
    for (const image of this.all("img")) image.src = this.url(image.getAttribute("src")).href;
  }

  /** An address on this page as one below the site's folder. */
  url(address) {
    return new URL(address, `https://site.invalid/${this.name}.html`);
  }

  /** Lead a link to its place in the edition; what leads to what the edition lacks is no link. */
  lead(link) {
    const url = this.url(link.getAttribute("href"));
    for (const name of ["target", "rel", "download"]) link.removeAttribute(name);
    if (url.host !== "site.invalid") return;
    const key = this.keys.get(decodeURIComponent(url.pathname.slice(1)).replace(/\.html$/, "").replace(/^index$/, "intro"));
    const id = decodeURIComponent(url.hash.slice(1));
    if (key === undefined) {
      if (link.matches(".source-link")) bare(link);
      link.replaceWith(...(link.matches(".source-link") ? [] : link.childNodes));
    } else if (this.form === "print") {
      link.setAttribute("href", `#${this.anchor(key, id)}`);
    } else {
      link.setAttribute("href", `${key === this.key ? "" : `${key}.xhtml`}#${this.anchor(key, id)}`);
    }
  }

  /** Each page has its own y0, y1, ...: in one document they would meet. */
  styles() {
    if (this.form !== "print") return;
    const named = (text) => text.replace(/\.y(\d+)\{/g, `.${this.key}-y$1{`);
    for (const sheet of this.all("style")) sheet.textContent = named(sheet.textContent);
    for (const element of this.all("[class*=y]")) {
      const names = element.getAttribute("class").split(" ");
      element.setAttribute("class", names.map((c) => (/^y\d+$/.test(c) ? `${this.key}-${c}` : c)).join(" "));
    }
  }
}
