"""Which networks are there? One module for each, which declares its keys and its `Architecture`.

May import architecture, beside Keras.
"""
