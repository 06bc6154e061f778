"""Place the nodes of a graph in layers, each node below all of its operands.

After Sugiyama, Tagawa & Toda (1981), "Methods for Visual Understanding of Hierarchical System
Structures": an edge that passes layers gets a bend in each; a few sweeps look for an order with few
crossings; and every layer settles as near to its neighbours as the width of its cells allows.
"""

from itertools import combinations, pairwise

SWEEPS = 8


class Layout:
    """Where cells (nodes, and bends of edges) go.

    Parameters
    ----------
    operands : list of tuple of int
        For each node the nodes that it takes.
    width, gap, bend : float
        Of a node, between cells, and of a bend, in pixels.

    Attributes
    ----------
    rows : list of list of int
        The cells of each layer from left to right; those from ``len(operands)`` on are bends.
    routes : list of list of int
        For each edge the cells it passes, both ends included; in the order of the nodes, and of
        the operands of each.
    x : list of float
        The centre of each cell; the leftmost edge of all is at 0.
    width : float
        Of the whole.
    """

    def __init__(self, operands, *, width, gap, bend):
        self.gap = gap
        self.widths = [width] * len(operands)
        layer = layers(operands)
        self.rows = [[] for _ in range(max(layer, default=-1) + 1)]
        for cell, at in enumerate(layer):
            self.rows[at].append(cell)
        self.routes = []
        self.above = [[] for _ in self.widths]  # for each cell those in the layer above
        self.below = [[] for _ in self.widths]  # (cell, port): the port is 0 for the middle
        for target, sources in enumerate(operands):
            for i, source in enumerate(sources):
                route = self.route(source, layer[source], target, layer[target], bend)
                port = (i + 1) / (len(sources) + 1) - 0.5  # operands arrive from left to right
                for upper, lower in pairwise(route):
                    self.above[lower].append(upper)
                    self.below[upper].append((lower, port if lower == target else 0))
                self.routes.append(route)
        self.order()
        self.settle()

    def route(self, source, start, target, end, bend):
        """Return the cells of an edge, after making the bends between its ends."""
        bends = range(len(self.widths), len(self.widths) + end - start - 1)
        for cells in (self.above, self.below):
            cells += [[] for _ in bends]
        self.widths += [bend] * len(bends)
        for at, cell in enumerate(bends, start + 1):
            self.rows[at].append(cell)
        return [source, *bends, target]

    def order(self):
        """Sort each layer by the mean place of its neighbours, and keep the best order met."""
        best = [list(row) for row in self.rows]
        fewest = self.crossings()
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in self.rows[1:] if down else self.rows[-2::-1]:
                place = self.places()
                near = {
                    cell: [place[n] for n in self.above[cell]]
                    if down
                    else [place[n] + port for n, port in self.below[cell]]
                    for cell in row
                }
                row.sort(key=lambda cell, near=near, place=place: mean(near[cell], place[cell]))
            if self.crossings() < fewest:
                best, fewest = [list(row) for row in self.rows], self.crossings()
        self.rows = best

    def places(self):
        return {cell: i for row in self.rows for i, cell in enumerate(row)}

    def crossings(self):
        """Return how many pairs of links between neighbouring layers cross."""
        place, total = self.places(), 0
        for row in self.rows[:-1]:
            links = [
                (place[cell], place[lower] + port)
                for cell in row
                for lower, port in self.below[cell]
            ]
            total += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(links, 2))
        return total

    def settle(self):
        """Find the centres: near the mean of a cell's neighbours, and apart in a layer."""
        self.x = [0.0] * len(self.widths)
        for _ in range(SWEEPS):
            for row in (*self.rows, *reversed(self.rows)):
                wanted = []
                for cell in row:
                    near = [*self.above[cell], *(lower for lower, _ in self.below[cell])]
                    wanted.append(mean([self.x[n] for n in near], self.x[cell]))
                for cell, x in zip(row, self.apart(row, wanted), strict=True):
                    self.x[cell] = x
        left = min((x - w / 2 for x, w in zip(self.x, self.widths, strict=True)), default=0.0)
        self.x = [x - left for x in self.x]
        self.width = max((x + w / 2 for x, w in zip(self.x, self.widths, strict=True)), default=0.0)

    def apart(self, row, wanted):
        """Return the centres nearest to the wanted ones, in least squares, that do not overlap.

        Less the least distances, they only have to be in order: pool those that are not.
        """
        offsets = [0.0]
        for a, b in pairwise(row):
            offsets.append(offsets[-1] + (self.widths[a] + self.widths[b]) / 2 + self.gap)
        pools = []  # (mean, how many)
        for want, offset in zip(wanted, offsets, strict=True):
            pools.append((want - offset, 1))
            while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
                (a, n), (b, m) = pools[-2:]
                pools[-2:] = [((a * n + b * m) / (n + m), n + m)]
        centres = [centre for centre, n in pools for _ in range(n)]
        return [centre + offset for centre, offset in zip(centres, offsets, strict=True)]


def layers(operands):
    """Return the layer of each node: below its operands; a source just above its first use."""
    layer = []
    for sources in operands:
        layer.append(1 + max((layer[source] for source in sources), default=-1))
    for source, takes in enumerate(operands):
        if not takes:
            uses = [layer[target] for target, s in enumerate(operands) if source in s]
            layer[source] = min(uses, default=1) - 1
    return layer


def mean(values, otherwise):
    """Return the mean of some numbers, or `otherwise` if there are none."""
    return sum(values) / len(values) if values else otherwise
