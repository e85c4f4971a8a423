"""What becomes of a model that is served? Its labels, its watch."""
