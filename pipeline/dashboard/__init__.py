"""The page on the wall, in a process of its own; the only room that knows NiceGUI."""
