import numpy as np
import pytest
import torch
from torch import nn

from course_lib.detection import dense_costs, interleave, offset_pool, scale_table
from course_lib.detection.dense import SCALES, answers
from course_lib.models import overfeat_accurate, overfeat_fast, overfeat_small, summary, vgg_small


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def row_of(maps):
    return [part[0, 0, 0].tolist() for part in maps]


def test_figure_3_of_the_paper():
    """One row of 20 cells, pooled by 3 from offsets 0, 1, 2; windows of 5; 6 answers."""
    maps = torch.arange(20.0).expand(1, 1, 3, 20)
    pooled = offset_pool(maps, 3)[0]
    assert row_of(pooled) == [
        [2, 5, 8, 11, 14, 17],
        [3, 6, 9, 12, 15, 18],
        [4, 7, 10, 13, 16, 19],
    ]
    answered = [[part.unfold(3, 5, 1).sum(-1) for part in pooled] for _ in range(3)]
    whole = interleave(answered)[0, 0, 0]
    assert whole.tolist() == [5 * (8 + i) for i in range(6)]


def test_sizes_that_do_not_come_out_even():
    pooled = offset_pool(noise(2, 4, 7, 9), 3)
    assert [[tuple(p.shape[2:]) for p in row] for row in pooled] == [
        [(2, 3), (2, 2), (2, 2)],
        [(2, 3), (2, 2), (2, 2)],
        [(1, 3), (1, 2), (1, 2)],
    ]
    assert interleave(pooled).shape == (2, 4, 5, 7)
    assert offset_pool(noise(1, 1, 3, 2), 3)[0][0].shape == (1, 1, 1, 0)


@pytest.mark.parametrize("offsets", [1, 2, 4])
def test_interleaved_pools_are_those_of_a_smaller_stride(offsets):
    maps = noise(2, 3, 13, 18)
    whole = interleave(offset_pool(maps, 4, offsets))
    expected = nn.functional.max_pool2d(maps, 4, stride=4 // offsets)
    torch.testing.assert_close(whole, expected, rtol=0, atol=0)


@pytest.mark.parametrize("offsets", [None, 1])
@pytest.mark.parametrize("size", [(30, 30), (36, 41), (48, 32)])
def test_dense_answers_are_those_of_crops(size, offsets):
    """At the stride of the maps, 2 pixels, or of the pool, 6; to rounding."""
    model = overfeat_small(5).double().eval()
    x = noise(1, 1, *size)
    with torch.no_grad():
        pooled = offset_pool(model.features(x), 3, offsets)
        whole = answers(model.classifier, (3, 3), pooled)[0]
        step = 2 if offsets is None else 6
        (row,) = scale_table(model, [size], offsets=offsets)
        assert tuple(whole.shape[1:]) == row.output
        for r in range(row.output[0]):
            for c in range(row.output[1]):
                crop = x[:, :, step * r : step * r + 30, step * c : step * c + 30]
                torch.testing.assert_close(whole[:, r, c], model(crop)[0], rtol=1e-9, atol=1e-11)


def test_answers_laid_side_by_side_are_of_other_windows():
    """What a concatenation would give: right answers, in the wrong places."""
    model = overfeat_small(5).double().eval()
    with torch.no_grad():
        pooled = offset_pool(model.features(noise(1, 1, 36, 36)), 3)
        whole = answers(model.classifier, (3, 3), pooled)
        each = [[answers(model.classifier, (3, 3), [[part]]) for part in row] for row in pooled]
        beside = torch.cat([torch.cat(row, 3) for row in each], 2)
    assert beside.shape == whole.shape
    assert not torch.allclose(beside, whole)
    np.testing.assert_allclose(beside.flatten().sort().values, whole.flatten().sort().values)
    torch.testing.assert_close(interleave(each), whole)


def test_gradients_go_through():
    maps = noise(1, 2, 7, 7).requires_grad_()
    interleave(offset_pool(maps, 3)).sum().backward()
    assert maps.grad.sum() == 2 * 25


def test_table_5():
    """All rows are as printed but that of 425 x 497, where the paper has 35, 11 and 7 columns."""
    rows = scale_table(overfeat_accurate(device="meta"))
    assert [row.image for row in rows] == list(SCALES)
    assert [row.differs for row in rows] == [
        *[()] * 4,
        ("pre_pool", "post_pool", "classifier_map"),
        (),
    ]
    odd = rows[4]
    assert odd[1:] == ((32, 38), (10, 12), (6, 8), (18, 24))
    assert odd.printed[1:] == ((32, 35), (10, 11), (6, 7), (18, 24))


def test_windows_of_221_and_257():
    plain = scale_table(overfeat_accurate(device="meta"), [221, 257], offsets=1)
    assert [row.output for row in plain] == [(1, 1), (2, 2)]
    assert [row.post_pool for row in plain] == [(5, 5), (6, 6)]
    assert plain[0].printed is None
    assert plain[0].differs == ()
    offsets = scale_table(overfeat_accurate(device="meta"), [221, 257])
    assert [row.output for row in offsets] == [(1, 1), (4, 4)]  # 12 pixels apart
    assert scale_table(overfeat_fast(device="meta"), [(263, 295)], offsets=1)[0].output == (2, 3)


def test_costs():
    model = overfeat_small()
    crop, body = (summary(part, (1, 30, 30)).macs for part in (model, model.features))
    assert dense_costs(model, 30) == (1, crop, crop)
    costs = dense_costs(model, (30, 36))
    assert costs.windows == 4
    assert costs.crops == 4 * crop
    assert costs.dense == summary(model.features, (1, 30, 36)).macs + 4 * (crop - body)
    assert dense_costs(model, 36, offsets=1).windows == 4


def test_costs_of_the_paper():
    """461 x 569 pixels, 630 windows: 29 times as much crop by crop."""
    costs = dense_costs(overfeat_accurate(device="meta"), (461, 569))
    assert costs.windows == 630
    assert costs.ratio == pytest.approx(29.4, abs=0.05)


def test_wrong_arguments():
    maps = noise(1, 2, 9, 9)
    for offsets in (2, 0, 4, 1.5):
        with pytest.raises(ValueError, match=r"`offsets` is .*, expected a divisor of the pool's"):
            offset_pool(maps, 3, offsets)
    with pytest.raises(ValueError, match=r"`maps` has shape \(2, 9, 9\), expected \(N, C, H, W\)"):
        offset_pool(maps[0], 3)
    with pytest.raises(ValueError, match=r"got \[2\] maps in the rows, expected as many rows as"):
        interleave([[maps, maps]])
    with pytest.raises(ValueError, match=r"map of offsets 0 and 1 has shape .* in the order of"):
        interleave([[maps, maps[:, :1]], [maps, maps]])
    with pytest.raises(ValueError, match="an image of 30 x 29 is smaller than the window of 30 x"):
        scale_table(overfeat_small(), [(30, 29)])
    with pytest.raises(ValueError, match="VGG-8, small has no `pool5` that does not overlap; use"):
        scale_table(vgg_small(), [32])
