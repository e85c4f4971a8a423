"""How does a model answer millions of rows, in one process or in several?

May import unknown_words and writer of the package above, what these import, and pipelines.
"""
