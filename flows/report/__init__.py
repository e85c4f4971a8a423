"""How is it shown to people? Pages, progress, findings and pictures.

May import data and what lies below it.
"""
