"""What is registered, and is it still what was registered?

May import graph and what lies below it.
"""
