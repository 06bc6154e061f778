// What the pages do besides being read. Each part stands alone, and the page works without any.
"use strict";

const root = document.documentElement;

// The theme follows the system until the reader chooses; choosing the system's own undoes the choice.
{
  const system = matchMedia("(prefers-color-scheme: dark)");
  const systemTheme = () => (system.matches ? "dark" : "light");
  const button = document.querySelector("button.theme");
  const label = button.querySelector("span");
  const show = (theme) => {
    root.dataset.theme = theme;
    label.textContent = theme === "dark" ? "Light theme" : "Dark theme";
  };
  const stored = {
    get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
    set: (theme) => {
      try {
        if (theme === systemTheme()) localStorage.removeItem("theme");
        else localStorage.setItem("theme", theme);
      } catch { /* storage is off: the choice lasts for this page */ }
    },
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    stored.set(theme);
    show(theme);
  });
  system.addEventListener("change", () => { if (!stored.get()) show(systemTheme()); });
  show(root.dataset.theme);
}

// The contents on a narrow screen.
{
  const button = document.querySelector("button.menu");
  const contents = document.getElementById("contents");
  const open = (state) => {
    contents.classList.toggle("open", state);
    button.setAttribute("aria-expanded", state);
  };
  button.addEventListener("click", () => open(!contents.classList.contains("open")));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && contents.classList.contains("open")) {
      open(false);
      button.focus();
    }
  });
  contents.addEventListener("click", (event) => { if (event.target.closest("a")) open(false); });
}

// "/" goes to the search field.
document.addEventListener("keydown", (event) => {
  const typing = event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const field = [...document.querySelectorAll('input[name="q"]')].find((f) => f.offsetParent);
  if (field) {
    event.preventDefault();
    field.focus();
  }
});

// Copy a cell's code.
for (const code of document.querySelectorAll(".cell_input .highlight, .highlight-bash .highlight")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.querySelector("pre").innerText.trimEnd());
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  code.append(button);
}

// What scrolls sideways can be scrolled with the keyboard.
{
  const names = { PRE: "Code or output", DIV: "Table", SPAN: "Formula" };
  const adjust = (elements) => {
    for (const target of elements) {
      const scrolls = target.scrollWidth > target.clientWidth;
      if (scrolls) {
        target.tabIndex = 0;
        target.setAttribute("role", "group");
        target.setAttribute("aria-label", `${names[target.tagName]}, scrolls sideways`);
      } else {
        for (const attribute of ["tabindex", "role", "aria-label"]) target.removeAttribute(attribute);
      }
    }
  };
  const wide = [
    ...document.querySelectorAll("article pre, .scroll, .katex-display, .output.text_html:has(> table)"),
  ];
  const watch = new ResizeObserver((entries) => adjust(entries.map(({ target }) => target)));
  wide.forEach((element) => watch.observe(element));
  // A font that comes late makes a formula wider, and leaves its box as it is.
  document.fonts.addEventListener("loadingdone", () => adjust(wide));
}

// A link into something folded unfolds it; paper has no folds and is light.
{
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let box = target; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  if (location.hash) unfold();
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("article details:not([open])")];
    folded.forEach((box) => { box.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((box) => { box.open = false; }));
}

// Where the reader is, in the list of what is on the page.
{
  const links = new Map();
  for (const link of document.querySelectorAll("nav.on-page a[href^='#']")) {
    const section = link.hash && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (section) links.set(section, link);
  }
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting ? seen.add(target) : seen.delete(target);
    const current = [...links.keys()].filter((section) => seen.has(section)).pop();
    if (!current) return;
    links.forEach((link, section) => {
      if (section === current) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    });
  }, { rootMargin: "-15% 0px -70% 0px" });
  links.forEach((_, section) => watch.observe(section));
}
