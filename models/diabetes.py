"""No code of its own: diabetes.yaml says it all."""
