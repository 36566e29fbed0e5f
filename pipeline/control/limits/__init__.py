"""How much a request may bring, and how long it may take."""
