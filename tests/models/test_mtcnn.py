"""The three networks of MTCNN: their shapes and counts, and the weights of the package."""

import importlib.util

import joblib
import numpy as np
import pytest
import torch

from course_lib.models import load_mtcnn, o_net, p_net, r_net
from course_lib.models.mtcnn import LANDMARKS, weights_folder

NETWORKS = {  # a network, its window, parameters, and the name of its file
    "P-Net": (p_net, 12, 6_632, "pnet"),
    "R-Net": (r_net, 24, 100_178, "rnet"),
    "O-Net": (o_net, 48, 389_040, "onet"),
}


@pytest.fixture(scope="module")
def trained():
    return dict(zip(NETWORKS, load_mtcnn(), strict=True))


@pytest.mark.parametrize("make, window, parameters, _", NETWORKS.values(), ids=NETWORKS)
def test_parameters_and_outputs(make, window, parameters, _):
    network = make()
    assert sum(p.numel() for p in network.parameters()) == parameters
    outputs = network(torch.zeros(5, 3, window, window))
    ends = (1, 1) if make is p_net else ()
    assert [tuple(o.shape) for o in outputs[:2]] == [(5, 2, *ends), (5, 4, *ends)]
    assert network.aligns == (make is o_net)
    if network.aligns:
        assert outputs.landmarks.shape == (5, 2 * len(LANDMARKS))


def test_maps_are_those_of_the_figure():
    """Rows of the maps that each layer gives, from figure 2; P-Net's first pooling has 2x2."""
    rows = {}
    for make, window, *_ in NETWORKS.values():
        h, rows[make] = torch.zeros(1, 3, window, window), []
        for name, layer in make().features.named_children():
            h = layer(h)
            if name.startswith(("conv", "pool")):
                rows[make].append(h.shape[2])
    assert rows == {
        p_net: [10, 5, 3, 1],
        r_net: [22, 11, 9, 4, 3],
        o_net: [46, 23, 21, 10, 8, 4, 3],
    }


@pytest.mark.parametrize("H, W", [(12, 12), (13, 12), (14, 21), (50, 33)])
def test_p_net_has_a_cell_for_each_window_that_fits(H, W):
    outputs = p_net()(torch.zeros(2, 3, H, W))
    assert outputs.scores.shape == (2, 2, (H - 12) // 2 + 1, (W - 12) // 2 + 1)


def numpy_network(x, arrays, pools):
    """Run TensorFlow's layers on an image ``(H, W, C)``, in NumPy; return all heads' outputs."""

    def conv(x, kernel, bias):
        KH, KW = kernel.shape[:2]
        windows = np.lib.stride_tricks.sliding_window_view(x, (KH, KW), axis=(0, 1))
        return np.einsum("hwcij,ijcf->hwf", windows, kernel) + bias

    def pool(x, size):
        pad = [(0, (size - n) % 2 if size == 3 else 0) for n in x.shape[:2]]  # as "same"
        x = np.pad(x, [*pad, (0, 0)], constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))
        return windows[::2, ::2].max((3, 4))

    def prelu(x, alpha):
        return np.where(x > 0, x, x * alpha)

    arrays, pools = list(arrays), list(pools)
    while arrays[0].ndim == 4 and arrays[0].shape[:2] != (1, 1):
        x = prelu(conv(x, *arrays[:2]), arrays[2])
        x, arrays = pool(x, pools.pop(0)) if pools else x, arrays[3:]
    if arrays[0].ndim == 2:
        x = x.transpose(1, 0, 2).reshape(-1)
        x, arrays = prelu(x @ arrays[0] + arrays[1], arrays[2]), arrays[3:]
    x = x.reshape(-1)
    heads = zip(arrays[::2], arrays[1::2], strict=True)
    return [x @ weight.reshape(len(x), -1) + bias for weight, bias in heads]


@pytest.mark.parametrize("name, pools", {"P-Net": [2], "R-Net": [3, 3], "O-Net": [3, 3, 2]}.items())
def test_weights_are_where_tensorflow_has_them(rng, trained, name, pools):
    _, window, _, file = NETWORKS[name]
    arrays = joblib.load(weights_folder() / f"{file}.lz4")
    image = rng.uniform(-1, 1, (window, window, 3))
    boxes, *landmarks, scores = numpy_network(image, arrays, pools)
    with torch.no_grad():
        x = torch.tensor(image.transpose(2, 0, 1)[None], dtype=torch.float32)
        outputs = [o.flatten().numpy() for o in trained[name](x)]
    for ours, theirs in zip(outputs, (scores, boxes, *landmarks), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_they_come_ready_for_use(trained):
    for network in trained.values():
        assert not network.training
        assert all(p.dtype == torch.float32 for p in network.parameters())


@pytest.mark.parametrize(
    "absent, message",
    {
        "mtcnn": "package mtcnn, which holds the weights, .* `pip install mtcnn`",
        "joblib": "package joblib, which the weights are packed with, .* `pip install joblib`",
        "lz4": "package lz4, .* `pip install lz4`",
    }.items(),
)
def test_missing_packages_are_named(monkeypatch, absent, message):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == absent else real(name)
    )
    with pytest.raises(ModuleNotFoundError, match=message):
        load_mtcnn()
