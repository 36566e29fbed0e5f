"""One `rayline demo` carries all these tests; the last file ends it."""
