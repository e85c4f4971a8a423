"""Why does a model answer as it does? Importances, dependence, rules, contributions of one answer, pictures.

May import model, table, hardware and what lies below them. Nothing here needs TensorFlow but gradients.
"""

ORDERS = 150  # of columns, that a single answer with more than ten of them is explained by
