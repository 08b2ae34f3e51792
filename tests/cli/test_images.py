"""Image files become what a network takes: exact where they can be, upright, light on dark, in the middle."""
from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chainrule import data
from chainrule.cli.failure import Failure
from chainrule.cli.images import _light_on_dark, read_image

SHAPE = (8, 8)
#: A drawing, light on dark, that no turn or reflection leaves as it is.
DRAWING = np.zeros(SHAPE, np.uint8)
DRAWING[1:7, 2:4] = 255, 220
DRAWING[5:7, 4:6] = 128
LEVELS = DRAWING / np.float32(255)


def read(image, name="image.png", invert=None, shape=SHAPE, **how):
    """Read what Pillow wrote."""
    file = Path(name)
    image.save(file, **how)
    return read_image(file, shape, invert)


def grown(pixels, times):
    return np.kron(pixels, np.ones((times, times))).astype(pixels.dtype)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["image.png", "image.bmp", "image.gif", "image.pgm", "image.webp", "a.b"])
def test_an_image_of_the_right_size_is_taken_as_it_is(name):
    kind = {"a.b": "PNG", "image.gif": "GIF", "image.webp": "WEBP"}.get(name)
    found = read(Image.fromarray(DRAWING), name, format=kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, LEVELS)


def test_a_jpeg():
    np.testing.assert_allclose(read(Image.fromarray(grown(DRAWING, 16)), "image.jpg", quality=95), LEVELS, atol=0.02)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_each_kind_of_pixel(mode):
    drawing = np.where(DRAWING > 100, 255, 0).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(drawing.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(drawing).convert(mode)
    name = "image.jpg" if mode == "CMYK" else "image.png"
    np.testing.assert_allclose(read(image, name, quality=100) if mode == "CMYK" else read(image, name), drawing / 255,
                               atol=0.02 if mode == "CMYK" else 0)


def test_16_bits_are_not_cut_to_8():
    deep = np.zeros(SHAPE, np.uint16)
    deep[3, 3], deep[3, 4] = 300, 40_000
    np.testing.assert_array_equal(read(Image.fromarray(deep)), deep.astype(np.float32) / 65535)


@pytest.mark.parametrize("times", [2, 7, 40])
def test_a_larger_image_is_averaged(times):
    np.testing.assert_allclose(read(Image.fromarray(grown(DRAWING, times))), LEVELS, atol=1e-6)
    pattern = np.indices((32, 32)).sum(0) % 2 * 255      # fine details do not flicker
    pattern[[0, -1]] = pattern[:, [0, -1]] = 0
    assert (abs(read(Image.fromarray(pattern.astype(np.uint8)))[1:-1, 1:-1] - 0.5) < 1e-6).all()


def test_a_smaller_image_grows():
    small = np.zeros((4, 4), np.uint8)
    small[1:3, 1:3] = 200
    found = read(Image.fromarray(small))
    assert found.max() == pytest.approx(200 / 255, abs=1e-6)
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-6)
    assert found[3:5, 3:5].min() > 0.7
    assert found[0].max() == 0


@pytest.mark.parametrize(("size", "place"), [
    ((16, 8), np.s_[:, 2:6]), ((8, 16), np.s_[2:6, :]), ((100, 1), np.s_[:, 3:4]), ((3, 400), np.s_[3:4, :])])
def test_the_aspect_ratio_stays_and_the_image_is_in_the_middle(size, place):
    expected = np.zeros(SHAPE)
    expected[place] = 1
    found = read(Image.fromarray(np.full(size, 255, np.uint8)), invert=False)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_dark_on_light_is_inverted_unless_that_is_said():
    paper = Image.fromarray(255 - DRAWING)
    np.testing.assert_allclose(read(paper), LEVELS, atol=1e-6)
    np.testing.assert_allclose(read(paper, invert=True), LEVELS, atol=1e-6)
    np.testing.assert_allclose(read(paper, invert=False), 1 - LEVELS, atol=1e-6)
    np.testing.assert_allclose(read(Image.fromarray(DRAWING), invert=True), 1 - LEVELS, atol=1e-6)


def test_grey_paper_becomes_black():
    """A photograph of ink of level 50 on paper of 200: the ground is 0, as in training, the ink 1 − 50/200."""
    photo = np.where(grown(DRAWING, 10) > 200, 50, 200).astype(np.uint8)
    np.testing.assert_allclose(read(Image.fromarray(photo)), np.where(DRAWING > 200, 0.75, 0), atol=1e-6)


@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize("hidden", [0, 255])
def test_a_drawing_on_nothing(ink, hidden):
    """What transparent pixels are behind their transparency does not count."""
    pixels = np.full((*SHAPE, 4), hidden, np.uint8)
    pixels[DRAWING > 0, :3] = ink
    pixels[..., 3] = DRAWING
    np.testing.assert_allclose(read(Image.fromarray(pixels)), LEVELS, atol=0.005)


def test_a_transparent_colour_of_a_palette():
    image = Image.fromarray((DRAWING == 0).astype(np.uint8))                # colour 0 where something is drawn
    image.putpalette([0, 0, 0, 0, 200, 0])
    np.testing.assert_array_equal(read(image, transparency=1), DRAWING > 0)


@pytest.mark.parametrize("turned", range(1, 9))
def test_exif_says_what_is_up(turned):
    """The eight orientations of EXIF, each undone by hand."""
    undo = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
            6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1)}[turned]
    exif = Image.Exif()
    exif[0x0112] = turned
    stored = np.ascontiguousarray(undo(DRAWING))
    np.testing.assert_array_equal(read(Image.fromarray(stored), exif=exif), LEVELS)


def test_the_first_frame_of_several():
    frames = [Image.fromarray(DRAWING), Image.fromarray(255 - DRAWING)]
    np.testing.assert_array_equal(read(frames[0], "image.gif", save_all=True, append_images=frames[1:]), LEVELS)


def test_no_digit_is_taken_for_dark_on_light():
    for part in data.digits(flatten=False):
        for levels in part[:][0]:
            assert _light_on_dark(levels, None) is levels


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_no_image_of_the_real_data_sets_is_taken_for_dark_on_light(data_dir, name):
    for part in getattr(data, name)(data_dir, flatten=False):
        for i in range(0, len(part), 1000):
            for levels in part[i:i + 1000][0]:
                assert _light_on_dark(levels, None) is levels


# ---------------------------------------------------------------------- what goes wrong
def test_a_file_that_is_no_image():
    Path("text.png").write_text("seven")
    with pytest.raises(Failure, match=r"^text\.png is not an image \(PNG, JPEG, .* in \.npy, \.npz, \.csv or \.tsv$"):
        read_image(Path("text.png"), SHAPE, None)


def test_a_kind_of_file_that_might_run_programs_is_not_opened():
    Path("drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(Failure, match="is not an image"):
        read_image(Path("drawing.eps"), SHAPE, None)


def test_an_image_that_would_fill_the_memory():
    header = io.BytesIO()
    Image.new("1", (1, 1)).save(header, "BMP")
    content = bytearray(header.getvalue())
    content[18:26] = (100_000).to_bytes(4, "little") * 2
    Path("bomb.bmp").write_bytes(content)
    with pytest.raises(Failure, match=r"bomb\.bmp has too many pixels; make the image smaller first"):
        read_image(Path("bomb.bmp"), SHAPE, None)


def test_without_pillow(monkeypatch):
    Image.fromarray(DRAWING).save("image.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(Failure, match=r'needs Pillow, which is not installed; pip install "\.\[images\]" in the clone'):
        read_image(Path("image.png"), SHAPE, None)


@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP"]), st.data())
@settings(max_examples=150)
def test_a_damaged_image_is_a_failure_or_an_image(kind, chosen):
    """Whatever bytes are missing or changed, no other error comes out."""
    content = io.BytesIO()
    Image.fromarray(grown(DRAWING, 3)).save(content, kind)
    damaged = bytearray(content.getvalue())[:chosen.draw(st.integers(1, len(content.getvalue())))]
    for place in chosen.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=4)):
        damaged[place] = chosen.draw(st.integers(0, 255))
    Path("damaged").write_bytes(damaged)
    try:
        found = read_image(Path("damaged"), SHAPE, None)
    except Failure:
        return
    assert found.shape == SHAPE
    assert found.min() >= 0
    assert found.max() <= 1
