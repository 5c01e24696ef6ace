"""pyinit on other platforms: with the C library of Alpine, and on arm64."""
