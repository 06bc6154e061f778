"""The graph has the right values, gradients and costs, and the drawing is readable by all."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from course_lib.autodiff import grad, trace
from course_lib.autodiff.layout import Layout


def example(x1, x2):
    return x1 * x2 + np.sin(x1)


def net(weight, bias):
    h = np.maximum(np.ones((4, 3)) @ weight + bias, 0)
    return np.sum(h**2) / 2


@pytest.fixture
def graph():
    return trace(example, 2.0, 5.0)


def test_the_worked_example(graph):
    assert [node.name for node in graph.nodes] == ["x1", "x2", "multiply", "sin", "add"]
    assert [node.operands for node in graph.nodes] == [(), (), (0, 1), (0,), (2, 3)]
    values = [2, 5, 10, np.sin(2), 10 + np.sin(2)]
    np.testing.assert_allclose([node.value for node in graph.nodes], values)
    gradients = [5 + np.cos(2), 2, 1, 1, 1]
    np.testing.assert_allclose([node.gradient for node in graph.nodes], gradients)
    partials = [node.partials for node in graph.nodes]
    assert partials == [(), (), (5, 2), (np.cos(2),), (1, 1)]
    assert graph.outputs == [4]
    assert (graph.multiply_adds, graph.elementwise) == (0, 3)


def test_arrays_constants_and_costs(rng):
    weight, bias = rng.normal(size=(3, 5)), np.zeros(5)
    graph = trace(net, weight, bias)
    np.testing.assert_allclose(graph.nodes[0].gradient, grad(net)(weight, bias))
    assert graph.multiply_adds == 4 * 3 * 5
    by_name = {node.name: node.partials for node in graph.nodes}
    square, total, halved = (by_name[name] for name in ("square", "sum", "divide"))
    np.testing.assert_allclose(square[0], 2 * np.maximum(np.ones((4, 3)) @ weight + bias, 0))
    np.testing.assert_array_equal(total[0], np.ones((4, 5)))
    assert halved[1] is None
    assert halved[0] == 0.5
    constants = [node.value for node in graph.nodes if node.kind == "constant"]
    assert [np.shape(value) for value in constants] == [(4, 3), (), ()]
    assert all(node.gradient is None for node in graph.nodes if node.kind == "constant")


def test_an_array_that_is_used_twice_is_one_constant():
    scale = np.ones(3)
    graph = trace(lambda x: x * scale + scale, np.ones(3))
    assert [node.kind for node in graph.nodes].count("constant") == 1


def test_several_results_and_one_that_is_constant():
    graph = trace(lambda x: (x * 2, np.floor(x), {"y": x}), 1.5)
    assert graph.outputs == [2, 0]
    assert graph.nodes[0].gradient == 3.0


def test_names_of_arguments():
    graph = trace(lambda p, x: p["w"] * p["b"] * x, {"w": 1.0, "b": 2.0}, 3.0)
    assert [node.name for node in graph.nodes][:3] == ["p[0]", "p[1]", "x"]
    graph = trace(lambda *several: several[0] * several[1], 1.0, 2.0)
    assert [node.name for node in graph.nodes][:2] == ["x0", "x1"]


def test_as_text(graph):
    assert repr(graph).splitlines() == [
        "example: 0 multiply-adds, 3 elementwise operations",
        " 0  x1              value 2, gradient 4.584",
        " 1  x2              value 5, gradient 2",
        " 2  multiply(0, 1)  value 10, gradient 1",
        " 3  sin(0)          value 0.9093, gradient 1",
        " 4  add(2, 3)       value 10.91, gradient 1",
    ]


def test_the_drawing_can_be_read_without_seeing_it(graph):
    svg = ElementTree.fromstring(graph._repr_svg_())
    assert svg.get("role") == "img"
    named = [svg.find(f".//*[@id='{name}']") for name in svg.get("aria-labelledby").split()]
    assert named[0].text == "Computational graph of example"
    assert "Node 3: sin(0), value 0.9093, gradient 1." in named[1].text
    html = graph._repr_html_()
    assert '<th scope="col">gradient</th>' in html
    assert html.count("<tr>") == 1 + len(graph.nodes)


def test_colours_come_from_the_page_and_have_a_fallback(graph):
    svg = graph._repr_svg_()
    assert not re.findall(r"(?:fill|stroke): (?!var\(--course-[a-z]+, #[0-9a-f]{6}\)|none)", svg)
    assert 'fill="' not in svg


def test_ids_are_unique_on_a_page(graph):
    page = graph._repr_html_() + graph._repr_html_()
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_names_are_escaped():
    page = trace(lambda x: x * 2, 1.0)._repr_html_()
    assert "&lt;lambda&gt;" in page
    assert "<lambda>" not in page


@pytest.mark.parametrize("f, args", [(example, (2.0, 5.0)), (net, (np.ones((3, 5)), np.ones(5)))])
def test_boxes_do_not_overlap_and_edges_go_down(f, args):
    nodes = trace(f, *args).nodes
    layout = Layout([n.operands for n in nodes], width=100, gap=10, bend=20)
    for row in layout.rows:
        for a, b in pairwise(row):
            apart = layout.x[b] - layout.x[a]
            assert apart >= (layout.widths[a] + layout.widths[b]) / 2 + 10 - 1e-9
    row_of = {cell: i for i, row in enumerate(layout.rows) for cell in row}
    for route in layout.routes:
        assert [row_of[cell] for cell in route] == list(
            range(row_of[route[0]], row_of[route[-1]] + 1)
        )
    assert min(x - w / 2 for x, w in zip(layout.x, layout.widths, strict=True)) == 0


def test_the_order_avoids_crossings():
    # a and b feed d, c feeds e: as given, with e before d, two edges cross
    layout = Layout([(), (), (), (2,), (0, 1)], width=100, gap=10, bend=20)
    assert layout.crossings() == 0


def test_operands_stand_from_left_to_right():
    x = np.ones((2, 3))
    graph = trace(lambda weight: x @ weight, np.ones((3, 4)))
    layout = Layout([n.operands for n in graph.nodes], width=100, gap=10, bend=20)
    left, right = graph.nodes[-1].operands
    assert layout.x[left] < layout.x[right]


def test_a_node_is_as_wide_as_its_longest_line():
    def width(*args):
        svg = trace(lambda x: np.maximum(x, 0.5), *args)._repr_svg_()
        return float(re.search(r'<rect [^>]*width="(\d+)"', svg)[1])

    number, array = width(1.0), width(np.ones((20, 30)))
    assert len("maximum") * 8 < number < array
    assert len("= array (20, 30)") * 7 < array
