"""How does a declared network become a trained model in its folder? The keys of `train:`, the fit, and what is saved.

May import training, distributed, model, table, hardware, config and what lies below them.
"""
