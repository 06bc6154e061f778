"""The book's Sphinx extensions, each in a file of its own; ``book.ext`` loads them all."""

PARTS = (
    "freshness",
    "outcomes",
    "numbering",
    "folding",
    "figures",
    "sources",
    "reference",
    "crosslinks",
    "pages",
    "sharing",
    "places",
    "slides",
    "claims",
    "about",
    "glossary",
)


def setup(app):
    for part in PARTS:
        app.setup_extension(f"{__name__}.{part}")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
