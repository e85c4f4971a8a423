"""No code of its own: breast_cancer.yaml says it all."""
