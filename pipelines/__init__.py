"""The stages: functions from declared files and parameters to declared files, one module each."""
