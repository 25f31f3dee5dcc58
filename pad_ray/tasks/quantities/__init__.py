"""Numbers and calculations as texts write them, and the words around them."""
