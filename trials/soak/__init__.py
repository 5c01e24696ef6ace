"""An hour of orphans and signals: does anything of pyinit grow?"""
