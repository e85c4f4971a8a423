"""What has happened to the model that is served? A run looks before it decides."""
