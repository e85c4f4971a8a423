"""ONNX: the whole model in one file, which takes arrays of raw rows: the serving file of the version."""

from pathlib import Path

from flows.export.format import Format, NotCarried, sentence


def quantized(source: Path, path: Path) -> None:
    """Write the same graph with its weights in eight bits, by ONNX Runtime's dynamic quantisation.

    Raises NotCarried if ONNX Runtime cannot.
    """
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # advice for graphs with other shapes than ours
    try:
        quantize_dynamic(source, path, weight_type=QuantType.QInt8)
    except Exception as error:  # of onnx, protobuf or ONNX Runtime, for what a network may hold
        raise NotCarried(f"ONNX Runtime cannot quantise the file: {sentence(error)}") from error
    finally:
        logging.disable(before)


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
