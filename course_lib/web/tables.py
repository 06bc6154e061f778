"""Tables of numbers in HTML, for the static form of a figure: on paper, and without scripts."""

__all__ = ["array_table", "factor", "nested", "number", "table"]


def table(caption, headers, rows):
    """A table of texts; the first cell of each row names it, an empty header names nothing."""
    head = "".join(f'<th scope="col">{text}</th>' if text else "<td></td>" for text in headers)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{text}</td>" for text in rest)}</tr>'
        for first, *rest in rows
    )
    return f"<table><caption>{caption}</caption>\n<tr>{head}</tr>\n{body}</table>"


def array_table(caption, array):
    """An array of shape (rows, columns) with its indices."""
    rows = ([r, *map(number, row)] for r, row in enumerate(array))
    return table(caption, ["", *map(str, range(array.shape[1]))], rows)


def nested(array):
    """An array of shape (rows, columns) in one line: ``[[1, 2], [3, 4]]``."""
    rows = (f"[{', '.join(map(number, row))}]" for row in array)
    return f"[{', '.join(rows)}]"


def number(value):
    """A number as people write it: whole ones plain, others to three digits, a real minus sign."""
    text = f"{value:.3g}" if value % 1 else f"{value:.0f}"
    return text.replace("-", "\N{MINUS SIGN}")


def factor(value):
    """A number inside a product: 2, but (-4)."""
    return f"({number(value)})" if value < 0 else number(value)
