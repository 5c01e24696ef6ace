"""What runs before the child, if an option or the environment needs it."""
