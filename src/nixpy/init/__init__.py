"""``nixpy init``: what is there, what is missing, what each file is for.

:mod:`nixpy.init.surroundings` looks, :mod:`nixpy.init.planning` and :mod:`nixpy.init.translation`
decide without touching anything, :mod:`nixpy.init.writing` writes.
"""
