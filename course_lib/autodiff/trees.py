"""Nested tuples, lists and dicts of arrays, as arguments and results of a function."""

CONTAINERS = tuple, list, dict


def flatten(tree):
    """Return the leaves of a tree in order, and its structure: the tree of their numbers.

    >>> flatten({"weight": 2.0, "more": [3.0, 5.0]})
    ([2.0, 3.0, 5.0], {'weight': 0, 'more': [1, 2]})
    """
    leaves = []
    return leaves, numbered(tree, leaves)


def numbered(node, leaves):
    """Return the structure of a subtree, and append its leaves to the list."""
    if isinstance(node, CONTAINERS):
        return over_children(lambda child: numbered(child, leaves), node)
    leaves.append(node)
    return len(leaves) - 1


def rebuild(structure, leaves):
    """Return the tree of this structure with these leaves."""
    if isinstance(structure, int):
        return leaves[structure]
    return over_children(lambda child: rebuild(child, leaves), structure)


def over_children(function, node):
    """Return the same container with `function` of each child."""
    if isinstance(node, dict):
        return {key: function(child) for key, child in node.items()}
    if hasattr(node, "_fields"):  # a named tuple takes its fields one by one
        return type(node)(*map(function, node))
    return type(node)(map(function, node))
