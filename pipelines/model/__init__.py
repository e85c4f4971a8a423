"""What is the network, what does it minimise, and how is it judged? And the model in its folder.

May import readers, table and what lies below them.
"""
