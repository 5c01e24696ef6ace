"""An hour of orphans and signals: does pyinit grow?"""
