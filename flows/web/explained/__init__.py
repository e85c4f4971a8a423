"""How are explanations shown? Bars, curves and sentences, made of what the answering server says.

May import no page."""
