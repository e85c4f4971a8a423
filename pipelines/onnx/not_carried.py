"""Why a model has no ONNX file."""


class NotCarried(Exception):
    """ONNX cannot carry the model, or its file does not answer as the model does. The message says why, for people.

    It is a result and no failure: such a model is served by Keras.
    """
