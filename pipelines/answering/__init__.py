"""What does a model answer to the rows of a split, and how good are the answers?

May import model, table and what lies below them.
"""
