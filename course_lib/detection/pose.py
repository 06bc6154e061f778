"""Poses by regression: a first guess of all joints, then closer looks at each of them."""

from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course_lib.detection.regression import as_tensor
from course_lib.models.parts import draw_weights, he
from course_lib.shapes import check_floats, check_shapes
from course_lib.training import fit, predict

__all__ = ["PoseRegressor", "crops_around", "pck", "pcp", "pose_error"]

COARSE = 32  # pixels of the picture that the first stage sees
CROP = 20  # and of the crops that the others see
NARROWEST = 4.0  # pixels, the side of a crop about a pose that has collapsed


class PoseRegressor(nn.Module):
    """A cascade of regressors after DeepPose: each stage moves the joints that the last one gave.

    The first stage sees the whole picture, shrunk, and gives all joints. A later one sees, for each
    joint, a crop around where the last stage put it, as wide as `sigma` torsos, in all its detail,
    and gives how far the joint is from its centre. All crops of a stage go through one network,
    which has two outputs for each joint: asked about the crop of a joint, its two count.

    Parameters
    ----------
    joints : int
        J, how many joints a pose has.
    torso : (int, int)
        Two joints whose distance is the diameter of a torso, across it: a shoulder and the hip of
        the other side. By default those of :func:`course_lib.data.stick_figures`.
    stages : int
    size : int
        Rows and columns of the pictures, a multiple of 32.
    sigma : float
        Side of a crop, in diameters of the torso that the last stage gave.
    rng : torch.Generator, optional
        For the weights, by He; by default one with the seed 0.

    Raises
    ------
    ValueError
        If a number has no meaning.

    References
    ----------
    A. Toshev & C. Szegedy (2014), "DeepPose: Human Pose Estimation via Deep Neural Networks",
    section 3.
    """

    def __init__(self, joints=14, *, torso=(9, 2), stages=3, size=64, sigma=1.5, rng=None):
        super().__init__()
        for name, value in {"joints": joints, "stages": stages}.items():
            if value < 1:
                raise ValueError(f"PoseRegressor: `{name}` is {value!r}, expected 1 or more")
        if size < COARSE or size % COARSE:
            raise ValueError(f"PoseRegressor: `size` is {size!r}, expected a multiple of {COARSE}")
        if len(torso) != 2 or not all(0 <= joint < joints for joint in torso):
            raise ValueError(
                f"PoseRegressor: `torso` is {torso!r}, expected two joints, 0 .. {joints - 1}"
            )
        if not sigma > 0:
            raise ValueError(f"PoseRegressor: `sigma` is {sigma!r}, expected a positive number")
        self.joints, self.torso, self.size, self.sigma = joints, tuple(torso), size, sigma
        rng = torch.Generator().manual_seed(0) if rng is None else rng
        nets = [convolutions((16, 32, 48), COARSE, 128, joints, rng)]
        nets += [convolutions((16, 32), CROP, 96, joints, rng) for _ in range(stages - 1)]
        self.nets = nn.ModuleList(nets)

    def forward(self, images):
        """Return the joints ``(N, J, 2)`` of images ``(N, 1, size, size)``, ``x y`` in pixels.

        Raises
        ------
        TypeError, ValueError
            If `images` are no such pictures.
        """
        return self.walk(images)[-1]

    def walk(self, images, stages=None):
        """Return what each stage gives for images ``(N, 1, size, size)``: tensors ``(N, J, 2)``."""
        check_shapes("PoseRegressor", images=(images, f"N 1 {self.size} {self.size}"))
        check_floats("PoseRegressor", images=images)
        first, *others = list(self.nets)[:stages]
        at = [self.size * (0.5 + first(self.shrunk(images)))]
        for net in others:
            at.append(at[-1] + self.displacement(net, images, at[-1]))
        return at

    def stages(self, images, *, batch_size=256, device=None):
        """Return what each stage gives, in evaluation mode and without gradients.

        Parameters
        ----------
        images : array or tensor, shape (N, 1, size, size)
        batch_size, device
            As in :func:`course_lib.training.predict`.

        Returns
        -------
        list of torch.Tensor, each of shape (N, J, 2)
            In pixels, on the CPU.
        """
        return list(predict(Walk(self), images, batch_size=batch_size, device=device))

    def fit(
        self,
        images,
        joints,
        *,
        epochs=(14, 4, 4),
        looks=6,
        learning_rate=0.003,
        batch_size=64,
        seed=0,
        device=None,
        progress=None,
    ):
        """Train one stage after the other, with a squared distance.

        A later stage learns from simulated guesses: the true joints, moved by draws from a normal
        distribution with the mean and the variance of what the stages before it do wrong. So it
        sees many more wrong guesses than there are pictures.

        Parameters
        ----------
        images : array or tensor, shape (N, 1, size, size)
        joints : array or tensor, shape (N, J, 2)
            True places, in pixels.
        epochs : sequence of int
            Of each stage; the last counts for all further ones.
        looks : int
            Simulated crops of each picture for a later stage, each of a random joint.
        learning_rate, batch_size, seed, device, progress
            As in :func:`course_lib.training.fit`; of Adam.

        Returns
        -------
        list of History
            One for each stage.

        Raises
        ------
        TypeError, ValueError
            If the shapes do not agree, and as :func:`course_lib.training.fit`.
        """
        images, joints = as_tensor(images), as_tensor(joints)
        size = self.size
        check_shapes(
            "PoseRegressor.fit",
            images=(images, f"N 1 {size} {size}"),
            joints=(joints, f"N {self.joints} 2"),
        )
        if looks < 1:
            raise ValueError(f"PoseRegressor.fit: `looks` is {looks!r}, expected 1 or more")
        rng = np.random.default_rng((seed, self.joints))
        how = {"learning_rate": learning_rate, "batch_size": batch_size, "device": device}
        how |= {"optimizer": "adam", "schedule": "one-cycle", "seed": seed, "progress": progress}
        histories = []
        for stage, net in enumerate(self.nets):
            if stage == 0:
                inputs, targets, loss = self.shrunk(images), joints / size - 0.5, squared
            else:
                wrong = self.walked(images, stage, device) - joints
                inputs, targets = self.simulated(images, joints, wrong, looks, rng)
                loss = squared_of_one
            rounds = epochs[min(stage, len(epochs) - 1)]
            histories.append(fit(net, inputs, targets, epochs=rounds, loss=loss, **how))
        return histories

    def walked(self, images, stages, device):
        """Return where the first `stages` put the joints ``(N, J, 2)`` of all pictures."""
        return predict(Walk(self, stages), images, device=device)[-1]

    def simulated(self, images, joints, wrong, looks, rng):
        """Return crops ``(looks * N, 1, CROP, CROP)`` about wrong guesses, and what to say of them.

        That is, for each crop, the row of its joint, and how far it is from the centre of the crop,
        in units of its side.
        """
        N, J, _ = joints.shape
        mean, std = wrong.mean(0), wrong.std(0)
        inputs, rows, ways = [], [], []
        for _ in range(looks):
            noise = torch.from_numpy(rng.standard_normal((N, J, 2)).astype(np.float32))
            guess = joints + mean + std * noise
            row = torch.from_numpy(rng.integers(J, size=N))
            n, sides = torch.arange(N), self.sides(guess)
            inputs.append(crops_around(images, guess[n, row][:, None], sides, CROP)[:, 0])
            rows.append(row)
            ways.append((joints - guess)[n, row] / sides[:, None])
        return torch.cat(inputs), (torch.cat(rows), torch.cat(ways))

    def sides(self, joints):
        """Return how wide the crops about the joints of each picture are, ``(N,)`` in pixels."""
        a, b = self.torso
        diameter = (joints[:, a] - joints[:, b]).norm(dim=1)
        return (self.sigma * diameter).clip(NARROWEST, self.size)

    def displacement(self, net, images, joints):
        """Return how far a later stage moves the joints ``(N, J, 2)``, in pixels."""
        N, J, _ = joints.shape
        sides = self.sides(joints)
        crops = crops_around(images, joints, sides, CROP).flatten(0, 1)
        own = torch.arange(J, device=joints.device)
        return net(crops).reshape(N, J, J, 2)[:, own, own] * sides[:, None, None]

    def shrunk(self, images):
        """Return pictures of 32x32 pixels, of which each is the mean of a square of pixels."""
        return functional.avg_pool2d(images, self.size // COARSE)


class Walk(nn.Module):
    """A cascade that gives the joints of all its stages, or of the first few."""

    def __init__(self, model, stages=None):
        super().__init__()
        self.model, self.count = model, stages

    def forward(self, images):
        """Return a tuple of tensors ``(N, J, 2)``."""
        return tuple(self.model.walk(images, self.count))


def convolutions(widths, size, hidden, joints, rng):
    """Return a network from pictures of `size` pixels to ``(N, joints, 2)``, at first near 0."""
    layers, C, side = OrderedDict(), 1, size
    with torch.device("meta"):
        for i, F in enumerate(widths, start=1):
            layers[f"conv{i}"] = nn.Conv2d(C, F, 3, stride=2, padding=1)
            layers[f"relu{i}"] = nn.ReLU()
            C, side = F, (side + 1) // 2
        layers["flatten"] = nn.Flatten()
        layers["fc1"], layers["relu"] = nn.Linear(C * side * side, hidden), nn.ReLU()
        layers["fc2"] = last = nn.Linear(hidden, 2 * joints)
        layers["joints"] = nn.Unflatten(1, (joints, 2))
    net = nn.Sequential(layers)
    return draw_weights(net, lambda layer, fan: 0.01 if layer is last else he(layer, fan), rng=rng)


def squared(output, joints):
    """Return the mean squared distance of joints ``(N, J, 2)``."""
    return ((output - joints) ** 2).sum(2).mean()


def squared_of_one(output, target):
    """Return the mean squared distance of the one joint in question of each crop."""
    rows, ways = target
    own = output[torch.arange(len(output), device=output.device), rows]
    return ((own - ways) ** 2).sum(1).mean()


def crops_around(images, centres, sides, pixels):
    """Cut squares out of pictures, and resample them to one number of pixels.

    Parameters
    ----------
    images : torch.Tensor, shape (N, C, H, W)
    centres : torch.Tensor, shape (N, J, 2)
        ``x y`` in pixels of the picture; the left edge of its first pixel is 0.
    sides : torch.Tensor, shape (N,)
        Of the squares of a picture, in its pixels.
    pixels : int
        Rows and columns of a crop.

    Returns
    -------
    torch.Tensor, shape (N, J, C, pixels, pixels)
        Read between the four pixels around a point (bilinear); beyond the border lie zeros.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree.
    """
    named = {"images": (images, "N C H W"), "centres": (centres, "N J 2"), "sides": (sides, "N")}
    check_shapes("crops_around", **named)
    (N, C, H, W), J = images.shape, centres.shape[1]
    steps = (torch.arange(pixels, device=images.device) + 0.5) / pixels - 0.5
    across = sides[:, None] * steps  # (N, pixels), from the centre of a crop
    x, y = (centres[..., None] + across[:, None, None]).unbind(2)  # each (N, J, pixels)
    shape = (N, J, pixels, pixels)
    grid = torch.stack(
        [(2 * x / W - 1)[:, :, None].expand(shape), (2 * y / H - 1)[..., None].expand(shape)], -1
    )
    grid = grid.reshape(N, J * pixels, pixels, 2).to(images.dtype)
    crops = functional.grid_sample(images, grid, align_corners=False)
    return crops.reshape(N, C, J, pixels, pixels).transpose(1, 2)


def pose_error(joints, truth):
    """Return the mean distance between predicted and true joints, in the unit of both.

    Parameters
    ----------
    joints, truth : array or tensor, shape (N, J, 2)

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree.
    """
    return distances("pose_error", joints, truth)[0].mean().item()


def pck(joints, truth, *, torso=(9, 2), threshold=0.2):
    """Return the share of joints that are found: no farther than a part of the torso's diameter.

    Parameters
    ----------
    joints, truth : array or tensor, shape (N, J, 2)
    torso : (int, int)
        The two joints whose true distance is the diameter.
    threshold : float
        The part of it that is allowed.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree.

    References
    ----------
    Toshev & Szegedy (2014), section 4.1, where it is called the percentage of detected joints.
    """
    apart, truth = distances("pck", joints, truth)
    a, b = torso
    diameter = (truth[:, a] - truth[:, b]).norm(dim=1)
    return (apart <= threshold * diameter[:, None]).float().mean().item()


def pcp(joints, truth, limbs, *, threshold=0.5):
    """Return the share of limbs that are found: both ends no farther than a part of its length.

    The shorter a limb, the stricter it is: forearms are penalized.

    Parameters
    ----------
    joints, truth : array or tensor, shape (N, J, 2)
    limbs : sequence of (int, int)
        The two joints of each limb.
    threshold : float
        The part of the limb's true length that is allowed.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If the shapes do not agree.

    References
    ----------
    Toshev & Szegedy (2014), section 4.1: the percentage of correct parts.
    """
    apart, truth = distances("pcp", joints, truth)
    a, b = torch.tensor(list(limbs)).T
    length = (truth[:, a] - truth[:, b]).norm(dim=2)
    worse = torch.maximum(apart[:, a], apart[:, b])
    return (worse <= threshold * length).float().mean().item()


def distances(where, joints, truth):
    """Return the distances ``(N, J)`` of two arrays of joints, and the true ones as a tensor."""
    joints, truth = as_tensor(joints), as_tensor(truth)
    check_shapes(where, joints=(joints, "N J 2"), truth=(truth, "N J 2"))
    return (joints - truth).norm(dim=2), truth
