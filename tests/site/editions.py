"""A tiny built site, for the tests of what is made from a site."""

PAGE = """<!DOCTYPE html>
<html><head><title>x</title></head><body><header>Menu</header><main><article>
<section id="{id}"><h1><span class="section-number">{number} </span>{title}<a
class="headerlink" href="#{id}">#</a></h1>
{body}
</section></article></main></body></html>"""


def write_site(root, **bodies):
    """Write ``_config.yml``, ``_toc.yml`` and the pages of a site; each body by its page's name."""
    site = root / "_build" / "html"
    for name in ("colours.css", "book.css", "katex/katex.min.css"):
        path = site / "_static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (root / "_config.yml").write_text("title: A tiny book\nauthor: Nobody & Co\n")
    names = [f"lectures/{name}" for name in bodies]
    listed = "".join(f"  - file: {name}\n" for name in names)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: intro\nchapters:\n{listed}")
    for number, (name, body) in enumerate(
        [("intro", "<p>Hello.</p>"), *zip(names, bodies.values(), strict=True)]
    ):
        path = site / f"{name}.html"
        path.parent.mkdir(exist_ok=True)
        title = f"Title of {name.split('/')[-1]}"
        path.write_text(PAGE.format(id=f"top-{number}", number=number, title=title, body=body))
    (site / "index.html").write_text("")
    return root
