"""How does a person give a row to a model? What was typed becomes a raw row, and the row fills the form again.

May import no page."""
