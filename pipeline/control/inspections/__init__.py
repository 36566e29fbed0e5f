"""Judged parts out of the history: how it is asked, what is asked, and what is answered."""
