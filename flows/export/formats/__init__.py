"""Which formats are there? A module for each: a new file is a new format.

May import format and pipelines; TensorFlow and ONNX Runtime inside functions.
"""
