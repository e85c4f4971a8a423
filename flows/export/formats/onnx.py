"""ONNX: the whole model in one file, which takes arrays of raw rows: the serving file of the version."""

from flows.export.format import Format, NotCarried
from pipelines.compressing import quantize
from pipelines.compressing.not_compressed import NotCompressed


def quantized(content: bytes) -> bytes:
    """The same file with its weights in eight bits: what the stage `compress` makes as `int8`. Raises NotCarried."""
    try:
        return quantize.quantized(content, "int8")
    except NotCompressed as error:
        raise NotCarried(str(error)) from error


ONNX = Format(
    "onnx",
    "model.onnx",
    "ONNX Runtime",
    "onnxruntime",
    ("onnxruntime",),
    None,
    alone=("tensorflow", "keras"),
    int8=True,
)
