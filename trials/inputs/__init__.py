"""Random command lines and environments: each must lead to a child, a page or one line."""
