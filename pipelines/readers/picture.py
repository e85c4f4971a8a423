"""A picture that is open: its values in the declared shape, as models learn from them and as they are asked.

What lies in a file is readers/images.py's to check; a server checks what it is sent.
"""

from typing import Any

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of Pillow, by channels
LYING = (5, 6, 7, 8)  # EXIF orientations of pictures whose sides are exchanged
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def measured(image: Any) -> tuple[int, int]:
    """Height and width of an open picture once it is turned as its EXIF data say; it need not be decoded for that."""
    from PIL import ExifTags

    lies = image.getexif().get(ExifTags.Base.Orientation, 1) in LYING
    return (image.width, image.height) if lies else (image.height, image.width)


def values(image: Any, shape: list[int], resize: str = "none") -> bytes:
    """The values of a turned picture with 8 bits in a channel, row by row, a byte for each channel.

    shape: [height, width, channels]. resize: a filter of Pillow for a picture of another size. If there is no channel
    for transparency, the picture is laid over white.
    """
    from PIL import Image

    height, width, channels = shape
    if image.has_transparency_data and channels < 4:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    image = image.convert(MODES[channels])
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling[resize.upper()])
    return bytes(image.tobytes())
