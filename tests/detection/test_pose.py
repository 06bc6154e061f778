"""Poses: the geometry of crops and displacements, the metrics, and that refinement refines."""

import numpy as np
import pytest
import torch

from course_lib.data import stick_figures
from course_lib.detection import PoseRegressor, crops_around, pck, pcp, pose_error


def fixed(net, value):
    """Make a network give this, whatever it sees."""
    value = torch.as_tensor(value, dtype=torch.float32)
    with torch.no_grad():
        net.fc2.weight.zero_()
        net.fc2.bias.copy_(value.flatten())


def test_a_crop_by_hand():
    image = torch.arange(36.0).reshape(1, 1, 6, 6)
    whole = crops_around(image, torch.tensor([[[3.0, 3.0]]]), torch.tensor([6.0]), 6)
    torch.testing.assert_close(whole[0, 0], image[0])
    part = crops_around(image, torch.tensor([[[4.0, 2.0]]]), torch.tensor([2.0]), 2)
    torch.testing.assert_close(part[0, 0, 0], image[0, 0, 1:3, 3:5])  # x 3 to 5, y 1 to 3
    between = crops_around(image, torch.tensor([[[4.5, 2.0]]]), torch.tensor([2.0]), 2)
    torch.testing.assert_close(between[0, 0, 0], image[0, 0, 1:3, 3:5] + 0.5)
    beyond = crops_around(image, torch.tensor([[[0.0, 0.0]]]), torch.tensor([2.0]), 2)
    torch.testing.assert_close(beyond[0, 0, 0], torch.zeros(2, 2), rtol=0, atol=1e-4)


def test_crops_of_many_pictures_keep_their_places(rng):
    images = torch.tensor(rng.normal(size=(3, 2, 20, 24)))
    centres = torch.tensor(rng.integers(4, 16, (3, 5, 2))).double()
    crops = crops_around(images, centres, torch.tensor([4.0, 6.0, 8.0]).double(), 4)
    assert crops.shape == (3, 5, 2, 4, 4)
    for j, (x, y) in enumerate(centres[0].long().tolist()):  # there, a pixel for a pixel
        torch.testing.assert_close(crops[0, j], images[0, :, y - 2 : y + 2, x - 2 : x + 2])
    for n in range(3):
        alone = crops_around(
            images[n : n + 1], centres[n : n + 1, 2:3], torch.tensor([4.0 + 2 * n]).double(), 4
        )
        torch.testing.assert_close(crops[n, 2], alone[0, 0])


def test_a_fresh_cascade_gives_the_middle():
    model = PoseRegressor(5, torso=(0, 1))
    joints = model(torch.rand(3, 1, 64, 64))
    assert joints.shape == (3, 5, 2)
    assert (joints - 32).abs().max() < 8
    assert [s.shape for s in model.stages(np.zeros((3, 1, 64, 64), np.float32))] == 3 * [(3, 5, 2)]


def test_displacements_are_in_units_of_the_crop_and_each_joint_has_its_own():
    model = PoseRegressor(3, torso=(0, 1), stages=2, sigma=2.0)
    start = torch.tensor([[0.0, 0], [0.125, 0], [0.25, 0.25]])  # of the picture, about its middle
    fixed(model.nets[0], start)
    fixed(model.nets[1], [[0.5, 0], [0, 0.25], [-0.25, -0.5]])
    first, second = model.stages(np.zeros((2, 1, 64, 64), np.float32))
    torch.testing.assert_close(first[1], 32 + 64 * start)
    side = 2.0 * 8  # twice the torso, from joint 0 to joint 1
    moved = side * torch.tensor([[0.5, 0], [0, 0.25], [-0.25, -0.5]])
    torch.testing.assert_close(second[1], first[1] + moved)
    torch.testing.assert_close(model(torch.zeros(2, 1, 64, 64)), second)


def test_a_later_stage_is_asked_about_the_crop_of_each_joint():
    """A network that answers with the brightness of its crop moves only the joint that is lit."""
    model = PoseRegressor(3, torso=(0, 1), stages=2, sigma=1.0)
    fixed(model.nets[0], [[-0.25, -0.25], [0.25, -0.25], [0.0, 0.25]])

    class Brightness(torch.nn.Module):
        def forward(self, crops):
            return crops.mean((1, 2, 3))[:, None, None].expand(-1, 3, 2)

    model.nets[1] = Brightness()
    images = torch.zeros(1, 1, 64, 64)
    images[:, :, 48 - 16 :, 16:48] = 1  # about the third joint, at (32, 48)
    first, second = model.walk(images)
    torch.testing.assert_close(second - first, torch.tensor([[[0.0, 0], [0, 0], [32, 32]]]))


def test_a_collapsed_pose_still_has_crops():
    model = PoseRegressor(3, torso=(0, 1))
    assert model.sides(torch.zeros(2, 3, 2)).tolist() == [4, 4]
    far = torch.tensor([[[0.0, 0], [900, 0], [0, 0]]])
    assert model.sides(far).tolist() == [64]


def test_simulated_guesses_are_wrong_as_the_stage_before_is(rng):
    """Mean and variance of each joint's own mistakes; what is to be said undoes them."""
    model = PoseRegressor(2, torso=(0, 1), sigma=1.0)
    joints = torch.tensor([[20.0, 20], [40, 40]]).expand(400, 2, 2)
    images = torch.zeros(400, 1, 64, 64)
    images[:, :, 16:24, 16:24] = 1  # a square of 8 pixels about joint 0
    mean, std = torch.tensor([[2.0, -1], [0, 0]]), torch.tensor([[1.0, 0.1], [0.5, 1.5]])
    noise = torch.tensor(rng.standard_normal((400, 2, 2)).astype(np.float32))
    crops, (rows, ways) = model.simulated(images, joints, mean + std * noise, 3, rng)
    assert crops.shape == (1200, 1, 20, 20)
    assert 500 < (rows == 0).sum() < 700
    side = 20 * 2**0.5
    for row in (0, 1):
        wrong = -ways[rows == row] * side
        torch.testing.assert_close(wrong.mean(0), mean[row], rtol=0.2, atol=0.4)
        torch.testing.assert_close(wrong.std(0), std[row], rtol=0.3, atol=0.1)
    # The way to say leads from the middle of the crop to the middle of the square.
    lit = crops[rows == 0][:, 0]
    at = (torch.arange(20) + 0.5) / 20 - 0.5
    x, y = (lit.sum(axis) @ at / lit.sum((1, 2)) for axis in (1, 2))
    torch.testing.assert_close(torch.stack([x, y], 1), ways[rows == 0], rtol=0.1, atol=0.03)


def test_the_same_seed_gives_the_same_poses():
    figures, found = stick_figures(20), []
    for seed in (0, 0, 1):
        model = PoseRegressor()
        before = torch.get_rng_state()
        histories = model.fit(
            figures.images, figures.joints, epochs=(2, 1), looks=1, seed=seed, progress=False
        )
        assert torch.equal(before, torch.get_rng_state())
        found.append(model.stages(figures.images))
    assert [history.records[-1].epoch for history in histories] == [2, 1, 1]
    for a, b, c in zip(*found, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_every_stage_refines():
    train, test = stick_figures(200), stick_figures(60, split="test")
    model = PoseRegressor()
    model.fit(train.images, train.joints, epochs=(12, 5), progress=False)
    errors = [pose_error(joints, test.joints) for joints in model.stages(test.images)]
    mean = np.broadcast_to(train.joints.mean(0), test.joints.shape)
    assert errors[2] < errors[1] < errors[0] < 0.9 * pose_error(mean, test.joints)


TRUTH = torch.tensor([[[0.0, 0], [10, 0], [10, 4]]])  # the torso is 10 long, the limb 4
OFF = torch.tensor([[[0.0, 2], [10, 0], [13, 4]]])


def test_metrics_by_hand():
    assert pose_error(OFF, TRUTH) == pytest.approx((2 + 0 + 3) / 3)
    assert pck(OFF, TRUTH, torso=(0, 1)) == pytest.approx(2 / 3)  # 2 of 10 is still allowed
    assert pck(OFF, TRUTH, torso=(0, 1), threshold=0.3) == 1
    assert pck(OFF, TRUTH, torso=(0, 1), threshold=0.1) == pytest.approx(1 / 3)
    # Of the limb of 4 one end is 3 off; of that of 10, one end is 2 off.
    assert pcp(OFF, TRUTH, [(1, 2)]) == 0
    assert pcp(OFF, TRUTH, [(2, 1)]) == 0
    assert pcp(OFF, TRUTH, [(0, 1)]) == 1
    assert pcp(OFF, TRUTH, [(0, 1), (1, 2)]) == 0.5
    assert pcp(OFF, TRUTH, [(1, 2)], threshold=0.75) == 1


def test_metrics_take_arrays():
    assert pose_error(OFF.numpy(), TRUTH.numpy()) == pose_error(OFF, TRUTH)
    limbs = {"one": (0, 1)}.values()
    assert pcp(OFF.numpy(), TRUTH, limbs) == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"joints": 0}, "`joints` is 0, expected 1 or more"),
        ({"stages": 0}, "`stages` is 0, expected 1 or more"),
        ({"size": 48}, "`size` is 48, expected a multiple of 32"),
        ({"torso": (0, 14)}, r"`torso` is \(0, 14\), expected two joints, 0 \.\. 13"),
        ({"sigma": 0}, "`sigma` is 0, expected a positive number"),
    ],
)
def test_says_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=f"PoseRegressor: {message}"):
        PoseRegressor(**options)


def test_says_what_is_wrong_with_the_data():
    model, images = PoseRegressor(), torch.zeros(2, 1, 64, 64)
    with pytest.raises(ValueError, match=r"PoseRegressor: `images` has shape \(2, 1, 32, 32\)"):
        model(images[:, :, :32, :32])
    with pytest.raises(TypeError, match="PoseRegressor: `images` holds int64"):
        model(images.long())
    with pytest.raises(ValueError, match=r"PoseRegressor\.fit: `joints` has shape \(2, 13, 2\)"):
        model.fit(images, torch.zeros(2, 13, 2), progress=False)
    with pytest.raises(ValueError, match=r"PoseRegressor\.fit: `looks` is 0, expected 1 or more"):
        model.fit(images, torch.zeros(2, 14, 2), looks=0)
    with pytest.raises(ValueError, match=r"pck: `truth` has shape .* J = 3 as in `joints`"):
        pck(OFF, TRUTH[:, :2])
    with pytest.raises(ValueError, match="crops_around: `sides` has shape"):
        crops_around(images, torch.zeros(2, 3, 2), torch.zeros(3), 4)
