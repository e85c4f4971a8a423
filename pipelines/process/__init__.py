"""What holds while a stage runs? Its inputs stay, its children end with it, its imports are warm.

May import safety and errors.
"""
