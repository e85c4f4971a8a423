"""What is declared of a model besides its stages? The sections of its YAML that the flows read."""
