"""What does DVC say of the stages, and git of the tree that they run from? The only package that imports DVC.

May import records and what lies below it.
"""
