"""How does a trained model become smaller: fewer bits, fewer weights, fewer units?

May import onnx, training, model, table, hardware and what lies below them.
"""
