"""What comes from outside, and cannot be trusted: how it is opened, shown, and refused.

May import errors and visible_text.
"""
