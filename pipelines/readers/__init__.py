"""How does a file become rows? One reader for each kind of file.

May import table and what lies below it.
"""
