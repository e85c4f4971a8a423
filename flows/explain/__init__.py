"""Why did a model give this answer, and what is the smallest change that turns it?

May import predict, serving, registry, and what lies below them.
"""
