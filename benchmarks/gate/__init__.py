"""How often the gate is wrong: a module for each kind of candidates."""
