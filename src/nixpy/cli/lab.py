"""``nixpy lab``: parse, call, print."""
