import hashlib
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from tiny_voc import COLOURS, write_annotation, write_voc

from course_lib.data import VOC_CLASSES, voc


@pytest.fixture
def folder(tmp_path):
    """A copy whose files a test may spoil."""
    return write_voc(tmp_path)


@pytest.fixture
def annotated(folder):
    """A function: the first photograph, of 48 x 64 pixels, with these objects."""

    def read(*objects):
        write_annotation(base(folder) / "Annotations" / "000001.xml", (48, 64), objects)
        return voc(folder)[0][1]

    return read


def base(folder):
    return folder / "VOCdevkit" / "VOC2007"


def test_what_is_read(tiny_voc):
    photographs = voc(tiny_voc)
    assert len(photographs) == 6
    assert photographs.names == [f"{i:06}" for i in range(1, 7)]
    image, target = photographs[0]
    assert image.shape == (3, 64, 48)
    assert image.dtype == target["boxes"].dtype == np.float32
    assert target["labels"].dtype == np.int64
    assert target["difficult"].dtype == bool
    assert image.max() <= 1
    assert voc(tiny_voc, split="test").names == [f"{i:06}" for i in range(7, 11)]
    assert photographs[-1][0].shape == photographs[5][0].shape
    assert len(list(photographs)) == 6


def test_a_box_holds_the_object_to_the_pixel(tiny_voc):
    """Inside, the colour of the shape; outside, grey: JPEG moves neither past the middle."""
    for image, target in voc(tiny_voc):
        inside = np.zeros(image.shape[1:], bool)
        for box, label in zip(target["boxes"].astype(int), target["labels"], strict=True):
            here = np.s_[box[1] : box[3], box[0] : box[2]]
            inside[here] = True
            colour = np.array(COLOURS[VOC_CLASSES[label]])[:, None, None] / 255
            assert np.abs(image[:, *here] - colour).mean() < 0.06
        coloured = np.ptp(image, axis=0) > 0.28
        assert (coloured == inside).mean() > 0.99


def test_boxes_by_hand(annotated):
    """Pixels 3 to 10 of a row have edges at 2 and 10: 8 pixels wide. One pixel is 1 wide."""
    target = annotated(("dog", (3, 5, 10, 20), 0), ("aeroplane", (48, 64, 48, 64), 1))
    assert target["boxes"].tolist() == [[2, 4, 10, 20], [47, 63, 48, 64]]
    assert target["labels"].tolist() == [11, 0]
    assert target["difficult"].tolist() == [False, True]


def test_corners_may_have_fractions(annotated):
    assert annotated(("dog", (3.5, 5, 10.25, 20), 0))["boxes"].tolist() == [[2.5, 4, 10.25, 20]]


def test_no_object(annotated):
    target = annotated()
    assert target["boxes"].shape == (0, 4)
    assert len(target["labels"]) == len(target["difficult"]) == 0


def test_who_says_nothing_is_not_difficult(folder):
    path = base(folder) / "Annotations" / "000001.xml"
    path.write_text(path.read_text().replace("<difficult>0</difficult>", ""))
    assert not voc(folder)[0][1]["difficult"][0]


def test_what_lies_outside_is_cut_off(annotated):
    assert annotated(("dog", (-4, 60, 100, 90), 0))["boxes"].tolist() == [[0, 59, 48, 64]]


@pytest.mark.parametrize("corners", [(49, 1, 60, 9), (-5, 1, 0, 9), (1, 65, 9, 70)])
def test_wholly_outside(annotated, corners):
    with pytest.raises(ValueError, match=r"000001\.xml: object 1 lies outside .* 48 x 64 pixels"):
        annotated(("dog", (3, 5, 10, 20), 0), ("dog", corners, 0))


@pytest.mark.parametrize("corners", [(10, 5, 9, 20), (3, 21, 10, 20), (3, "nan", 10, 20)])
def test_inside_out(annotated, corners):
    with pytest.raises(ValueError, match=r"000001\.xml: object 0 has a box inside out"):
        annotated(("dog", corners, 0))


def test_an_unknown_class(annotated):
    with pytest.raises(ValueError, match=r"000001\.xml: object 0 is a 'dragon', .* 20 VOC_CLASSES"):
        annotated(("dragon", (3, 5, 10, 20), 0))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("</annotation>", "", r"000001\.xml is no XML: no element found.*unpack"),
        ("annotation>", "remark>", r"000001\.xml has no <annotation>; unpack"),
        ("name>", "title>", r"000001\.xml: object 0 cannot be read \(KeyError\('name'\)"),
        ("bndbox>", "box>", r"object 0 cannot be read \(KeyError\('bndbox'\)"),
        ("<xmin>", "<xmin>x", r"object 0 cannot be read \(ValueError.* numbers"),
        ("<difficult>", "<difficult>x", r"object 0 cannot be read .* <difficult> of 0 or 1"),
    ],
)
def test_a_damaged_annotation(folder, old, new, message):
    path = base(folder) / "Annotations" / "000001.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        voc(folder)[0]


# torchvision leaves it to the garbage collector to close a picture that it could not decode.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_damaged_photograph(folder):
    path = base(folder) / "JPEGImages" / "000002.jpg"
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"no picture"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"000002\.jpg is no photograph: .*; unpack"):
            voc(folder)[1]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"000002\.jpg"):
        voc(folder)[1]


def test_indices(tiny_voc):
    photographs = voc(tiny_voc)
    with pytest.raises(IndexError):
        photographs[6]
    with pytest.raises(TypeError, match=r"the index is slice\(.*expected an int"):
        photographs[:2]


@pytest.mark.parametrize("year, split", [("2006", "train"), ("2012", "test"), ("2007", "all")])
def test_no_such_part(tiny_voc, year, split):
    with pytest.raises(ValueError, match=rf"voc: `year` is '{year}' and `split` '{split}', exp"):
        voc(tiny_voc, year, split)


@pytest.mark.parametrize("split, archive", [("trainval", "VOCtrainval_06"), ("test", "VOCtest_06")])
def test_nothing_there(tmp_path, split, archive):
    message = rf"no {split} of VOC 2007 in .*VOC2007 .*`download=True`, or unpack {archive}-Nov"
    with pytest.raises(FileNotFoundError, match=message):
        voc(tmp_path, split=split)


def test_the_test_split_is_an_archive_of_its_own(folder):
    (base(folder) / "ImageSets" / "Main" / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no test of VOC 2007 .* unpack VOCtest_06-Nov"):
        voc(folder, split="test")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive where a download would have put it, and its MD5 sum as the one expected."""
    from torchvision.datasets import utils
    from torchvision.datasets import voc as module

    def no_network(*_, **__):
        raise OSError("no network in a test")

    monkeypatch.setattr(utils.urllib.request, "urlopen", no_network)
    source, root = write_voc(tmp_path / "source"), tmp_path / "root"
    root.mkdir()
    packed = root / "VOCtrainval_06-Nov-2007.tar"
    with tarfile.open(packed, "w") as file:
        file.add(source / "VOCdevkit", "VOCdevkit")
    md5 = hashlib.md5(packed.read_bytes()).hexdigest()
    monkeypatch.setitem(module.DATASET_YEAR_DICT["2007"], "md5", md5)
    return packed


def test_a_whole_archive_is_unpacked(archive):
    assert len(voc(archive.parent, download=True)) == 6


def test_a_changed_archive_is_not_used(archive):
    archive.write_bytes(archive.read_bytes() + b"!")
    with pytest.raises(FileNotFoundError, match=r"voc: could not download trainval .*; try again"):
        voc(archive.parent, download=True)


def test_nothing_is_fetched_unasked(tmp_path, monkeypatch):
    from torchvision.datasets import voc as module

    monkeypatch.setattr(module, "download_and_extract_archive", pytest.fail)
    with pytest.raises(FileNotFoundError):
        voc(tmp_path)


def test_torchvision_is_imported_late():
    code = "import sys; import course_lib.data; sys.exit('torchvision' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
