"""Which device computes, and whose turn is it?

May import config and what lies below it.
"""
