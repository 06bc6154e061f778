"""The cascade finds the faces of real photographs; its parts against slow and hand-worked ones."""

import numpy as np
import pytest
import torch
from skimage import data

from course_lib.data import PHOTOGRAPHS, photograph
from course_lib.detection import FaceCascade, box_iou, nms
from course_lib.detection.mtcnn import crop, outermost, regressed, squared
from course_lib.models import o_net, p_net, r_net

FACES = {  # from the hair, or the cap, to the chin, by eye
    "astronaut": [183, 62, 264, 174],
    "camera": [190, 112, 260, 200],  # from the side, grey
    "grace_hopper": [172, 120, 352, 342],
}
EYES = {"astronaut": [[204, 101], [247, 103]], "grace_hopper": [[221, 191], [311, 187]]}


@pytest.fixture(scope="module")
def cascade():
    return FaceCascade()


@pytest.fixture
def untrained():
    """Return networks that find a face in every window, and boxes and landmarks somewhere."""
    torch.manual_seed(0)
    networks = p_net(), r_net(), o_net()
    for network in networks:
        torch.nn.init.constant_(network.classifier.bias, 0)
        network.classifier.bias.data[1] = 20
    return networks


@pytest.mark.parametrize("name", FACES)
def test_it_finds_the_face(cascade, name):
    faces = cascade.detect(photograph(name))
    assert len(faces.boxes) == 1
    assert box_iou(faces.boxes, np.array([FACES[name]], float))[0, 0] > 0.65
    assert faces.scores[0] > 0.99


@pytest.mark.parametrize("name", EYES)
def test_it_finds_eyes_nose_and_mouth(cascade, name):
    (points,) = cascade.detect(photograph(name)).landmarks
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    np.testing.assert_allclose(points[:2], EYES[name], atol=0.06 * np.ptp(FACES[name][::2]))
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.parametrize("name", sorted(PHOTOGRAPHS.keys() - FACES))
def test_it_finds_none_where_there_is_none(cascade, name):
    faces = cascade.detect(photograph(name))
    assert faces.boxes.shape == (0, 4)
    assert faces.scores.shape == (0,)
    assert faces.landmarks.shape == (0, 5, 2)
    assert cascade.stages[0].passed > 0  # P-Net is easily deceived


def test_it_takes_a_part_of_a_motorcycle_for_a_face():
    """A false alarm, at the authors' thresholds; the detector is not sure of it."""
    motorcycle, _, _ = data.stereo_motorcycle()
    faces = FaceCascade().detect(motorcycle)
    assert len(faces.boxes) == 1
    assert faces.scores[0] < 0.9
    assert len(FaceCascade(thresholds=(0.6, 0.7, 0.9)).detect(motorcycle).boxes) == 0


def test_the_stages_of_the_astronaut(cascade):
    faces = cascade.detect(photograph("astronaut"))
    first, second, third = cascade.stages
    assert [stage.name for stage in cascade.stages] == ["P-Net", "R-Net", "O-Net"]
    assert first.windows == 42_721
    assert 100 < len(first.boxes) < 200
    assert 4 <= len(second.boxes) <= 12
    assert len(third.boxes) == 1
    for before, after in ((first, second), (second, third)):
        assert after.windows == len(before.boxes) > len(after.boxes)
    for stage in cascade.stages:
        assert stage.windows >= stage.passed >= len(stage.boxes) == len(stage.scores)
        assert stage.boxes.dtype == stage.scores.dtype == np.float32
    np.testing.assert_array_equal(third.boxes, faces.boxes)
    np.testing.assert_array_equal(third.scores, faces.scores)


@pytest.mark.parametrize("H, W", [(30, 41), (25, 24)])
def test_p_net_everywhere_is_p_net_on_each_crop(cascade, rng, H, W):
    image = torch.tensor(rng.uniform(-1, 1, (1, 3, H, W)), dtype=torch.float32)
    network = cascade.networks[0]
    with torch.no_grad():
        everywhere = network(image)
        for i in range(everywhere.scores.shape[2]):
            for j in range(everywhere.scores.shape[3]):
                alone = network(image[:, :, 2 * i : 2 * i + 12, 2 * j : 2 * j + 12])
                for dense, one in zip(everywhere, alone, strict=True):
                    torch.testing.assert_close(dense[:, :, i, j], one[:, :, 0, 0])
    assert 2 * i + 12 in (H - 1, H)
    assert 2 * j + 12 in (W - 1, W)


def test_a_window_lies_where_the_network_looked(untrained):
    """Of one scale, all windows: 12 pixels wide at the scale, here 1/2, and 2 apart."""
    untrained[0].box_head.weight.data.zero_()
    untrained[0].box_head.bias.data.zero_()
    cascade = FaceCascade(untrained, smallest=24)
    with torch.no_grad():
        stage = cascade.propose(torch.zeros(3, 28, 32))
    assert cascade.sizes(28, 32) == [(14, 16)]
    assert stage.windows == stage.passed == 2 * 3
    # Of equal scores the first stays, and drops all but those 8 pixels away, an IoU of 0.5.
    np.testing.assert_array_equal(stage.boxes, [[0, 0, 24, 24], [8, 0, 32, 24]])


def test_sizes_shrink_until_no_window_fits(cascade):
    sizes = cascade.sizes(512, 512)
    assert sizes[0] == (308, 308)  # 512 * 12 / 20, rounded up
    assert sizes[-1][0] >= 12 > sizes[-1][0] * 0.709 - 1
    assert len(sizes) == 10
    assert FaceCascade(cascade.networks, smallest=12).sizes(12, 40) == [(12, 40)]


def test_a_larger_smallest_face_means_fewer_windows(cascade):
    astronaut = photograph("astronaut")
    cascade.detect(astronaut)
    before = cascade.stages[0].windows
    coarse = FaceCascade(cascade.networks, smallest=40)
    assert len(coarse.detect(astronaut).boxes) == 1
    assert coarse.stages[0].windows < before / 3.5
    assert len(FaceCascade(cascade.networks, smallest=400).detect(astronaut).boxes) == 0


def test_faces_at_the_border_are_found(cascade):
    """A face whose square reaches beyond the photograph, at each of the corners."""
    x1, y1, x2, y2 = FACES["astronaut"]
    for rows in (slice(y1, 300), slice(0, y2)):
        for columns in (slice(x1, 400), slice(0, x2)):
            faces = cascade.detect(photograph("astronaut")[rows, columns])
            shift = np.array([columns.start or 0, rows.start or 0] * 2)
            assert box_iou(faces.boxes + shift, np.array([FACES["astronaut"]], float)).max() > 0.6


def test_two_faces_are_two(cascade):
    astronaut = photograph("astronaut")[:256, 100:356]
    faces = cascade.detect(np.concatenate([astronaut, astronaut[:, ::-1]], axis=1))
    assert len(faces.boxes) == 2
    assert abs(faces.boxes[0, 0] - faces.boxes[1, 0]) > 200
    assert faces.scores[0] >= faces.scores[1]


def test_a_photograph_of_nothing(cascade):
    faces = cascade.detect(np.full((40, 60, 3), 128, np.uint8))
    assert [stage.windows for stage in cascade.stages][1:] == [0, 0]
    assert [len(stage.boxes) for stage in cascade.stages] == [0, 0, 0]
    assert faces.landmarks.shape == (0, 5, 2)


@pytest.mark.parametrize("blind", [0, 1, 2])
def test_a_stage_that_passes_none_ends_it(untrained, blind):
    untrained[blind].classifier.bias.data[1] = -20
    cascade = FaceCascade(untrained)
    faces = cascade.detect(np.full((40, 60, 3), 128, np.uint8))
    assert [len(stage.boxes) > 0 for stage in cascade.stages] == [k < blind for k in range(3)]
    assert [a.shape for a in faces] == [(0, 4), (0,), (0, 5, 2)]
    for stage in cascade.stages:
        assert stage.boxes.shape == (len(stage.scores), 4)


def test_boxes_turned_inside_out_are_dropped(untrained):
    for network in untrained:
        network.box_head.weight.data.zero_()
        network.box_head.bias.data = torch.tensor([1.0, 0, -1, 0])
    cascade = FaceCascade(untrained)
    assert len(cascade.detect(np.zeros((40, 60, 3), np.uint8)).boxes) == 0
    assert cascade.stages[0].passed > 0


def test_regression_by_hand():
    """The edges of a box 10 wide and 20 high move by shares of that."""
    box, score = np.array([[0.0, 0, 10, 20]]), np.array([0.5])
    moved, scores = regressed(box, score, np.array([[0.1, -0.1, 0.2, 0.5]]))
    np.testing.assert_allclose(moved, [[1, -2, 12, 30]])
    assert scores.tolist() == [0.5]


def test_squares_by_hand():
    boxes = np.array([[0.0, 0, 10, 20], [0, 0, 6, 2]])
    np.testing.assert_array_equal(squared(boxes), [[-5, 0, 15, 20], [0, -2, 6, 4]])


def test_a_crop_is_black_beyond_the_border():
    image = torch.ones(3, 6, 8)
    black = -127.5 / 128
    for square, inside in {
        (-2.0, -2, 2, 2): (slice(2, 4), slice(2, 4)),
        (6.0, 4, 10, 8): (slice(0, 2), slice(0, 2)),
        (2.4, 1.4, 6.4, 5.4): (slice(0, 4), slice(0, 4)),
        (20.0, 20, 24, 24): (slice(0, 0), slice(0, 0)),
    }.items():
        expected = torch.full((3, 4, 4), black)
        expected[(slice(None), *inside)] = 1
        torch.testing.assert_close(crop(image, square, 4), expected)


def test_a_crop_keeps_the_order_of_pixels(rng):
    image = torch.tensor(rng.uniform(size=(3, 9, 9)))
    torch.testing.assert_close(crop(image, (2, 3, 6, 7), 4), image[:, 3:7, 2:6])
    assert crop(image, (2.0, 3, 2.2, 3.2), 24).shape == (3, 24, 24)  # one pixel at least


def test_of_a_face_within_a_face_the_better_is_left():
    boxes = np.array([[0.0, 0, 30, 30], [5, 5, 15, 15], [40, 40, 50, 50]])
    assert outermost(boxes, np.array([0.8, 0.9, 0.7]), 0.7).tolist() == [1, 2]
    assert outermost(boxes, np.array([0.9, 0.8, 0.95]), 0.7).tolist() == [2, 0]
    assert nms(boxes, np.array([0.8, 0.9, 0.7]), 0.7).tolist() == [1, 0, 2]
    assert outermost(boxes[:0], np.zeros(0), 0.7).tolist() == []
    half = np.array([[0.0, 0, 10, 10], [0, 3, 10, 13]])  # share 7/10 exactly
    assert outermost(half, np.array([2.0, 1]), 0.7).tolist() == [0, 1]


GREY = np.zeros((40, 40), np.uint8)
WRONG = {
    "grey": (GREY, ValueError, r"`photo` has shape \(40, 40\), .* np\.stack\(\[photo\] \* 3, axis"),
    "channels first": (np.zeros((3, 40, 40), np.uint8), ValueError, r"expected \(H, W, 3\)"),
    "float": (np.zeros((40, 40, 3)), TypeError, r"holds float64, expected uint8 in 0\.\.255; conv"),
    "tiny": (np.zeros((19, 40, 3), np.uint8), ValueError, "19 rows and 40 columns, .* least 20"),
    "empty": (np.zeros((0, 0, 3), np.uint8), ValueError, "enlarge the photograph, or look for sm"),
}


@pytest.mark.parametrize("photo, error, message", WRONG.values(), ids=WRONG)
def test_bad_photographs_are_refused(cascade, photo, error, message):
    with pytest.raises(error, match=message):
        cascade.detect(photo)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"smallest": 0}, "`smallest` is 0, expected more than 0 pixels"),
        ({"factor": 1}, "`factor` is 1, expected between 0 and 1"),
        ({"thresholds": (0.6, 0.7)}, r"`thresholds` is \(0.6, 0.7\), expected three prob"),
        ({"thresholds": (0.6, 0.7, 7)}, r"`thresholds` is \(0.6, 0.7, 7\)"),
    ],
)
def test_bad_options_are_refused(untrained, options, message):
    with pytest.raises(ValueError, match=f"FaceCascade: {message}"):
        FaceCascade(untrained, **options)
