"""Which kinds of file can be read? One module for each, which declares its `Reader`.

May import the other readers, but for sources.
"""
