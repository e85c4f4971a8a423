"""Where can something of a person be? Each module looks at one kind of place, and takes it out there."""
