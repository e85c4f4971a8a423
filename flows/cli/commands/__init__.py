"""What does each command do? A file holds its options, what it does, and its answer in words.

May import every package, what is slow to import inside functions.
"""
