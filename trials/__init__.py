"""What shakes pyinit harder than the tests do, and for longer: each module is a command."""
