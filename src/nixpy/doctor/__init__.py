"""``nixpy doctor``: what is wrong, why, and what mends it.

A check is one function (:mod:`nixpy.doctor.check`) that looks at an examination
(:mod:`nixpy.doctor.examination`) and yields what it found; :mod:`nixpy.doctor.run` selects and
runs them. Nothing is written and nothing is fetched but by a fix that the user asked for.
"""
