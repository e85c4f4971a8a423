"""Can ONNX carry the whole model, from raw rows to the answer, and does its file answer as the model does?

May import model, table, hardware and what lies below them.
"""
