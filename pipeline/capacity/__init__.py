"""How many machines a number of cameras needs, from measured costs."""
