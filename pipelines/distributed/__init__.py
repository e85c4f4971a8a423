"""How do several workers train one model? Started by Ray, and gone with it.

May import model and what lies below it.
"""
