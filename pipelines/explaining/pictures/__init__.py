"""Which parts of a picture does a model's answer hang on? Maps of single pictures, and sheets of them."""
