"""Why does a model answer as it does? Importances, dependence, rules, contributions of one answer, pictures.

May import model, table, hardware and what lies below them. Nothing here needs TensorFlow but gradients.
"""
